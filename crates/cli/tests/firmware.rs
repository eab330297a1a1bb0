//! Object 5 of the real agent: a package is pushed, a program installs it, and `kill -9` comes at any moment.

mod common;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::Running;
use common::firmware::{Bench, Random, package, resource};
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::Value;
use lapwing_lwm2m::server::{Content, Request, ServerEvent};
use rustix::process::Signal;
use tokio::time::sleep;

#[tokio::test]
async fn a_package_is_pushed_and_installed_by_the_program() {
    let mut bench = Bench::new("echo half; sleep 1; echo whole; rm \"$1\"; exit 1").await;
    let (agent, registration) = bench.agent().await;
    let observe = Request::Observe { path: resource(3), format: None };
    assert_eq!(bench.ask(&registration, observe).await.unwrap(), Code::CONTENT);
    assert_eq!(bench.push(&registration, package(1)).await.unwrap(), Code::CHANGED);
    assert_eq!(bench.settled(&registration).await, (2, 0));
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!(bench.settled(&registration).await, (0, 1));
    assert_eq!((bench.calls(), fs::read(bench.path("installed")).unwrap() == package(1)), (1, true));
    let mut states = Vec::new();
    while states.last() != Some(&0) {
        if let Some(ServerEvent::Notification { response, .. }) = bench.events.next().await
            && let Content::Node(node) = &response.content
        {
            states.extend(node.value().and_then(Value::as_integer));
        }
    }
    assert_eq!(states, [1, 2, 3, 0]);
    // The line is written when the state has been told.
    let mut patience = 100;
    while !agent.stderr().contains("has succeeded") && patience > 0 {
        sleep(Duration::from_millis(100)).await;
        patience -= 1;
    }
    let said = agent.stderr();
    for line in
        ["a server pushes a package", "262144 bytes has come", "installer: half", "installer: whole", "has succeeded"]
    {
        assert!(said.contains(line), "{line:?} in {said}");
    }
}

#[tokio::test]
async fn a_state_folder_is_needed_and_is_not_shared() {
    let mut bench = Bench::new("exit 1").await;
    let (_agent, _) = bench.agent().await;
    let config = bench.path("agent.toml");
    let complaint = common::lapwing(&["run", "--config", config.to_str().unwrap()]).failed(1);
    assert!(complaint.contains("in use"), "{complaint}");
    let text = fs::read_to_string(&config).unwrap().replace("state = ", "# ");
    fs::write(&config, text).unwrap();
    let complaint = common::lapwing(&["run", "--config", config.to_str().unwrap()]).failed(2);
    assert!(complaint.contains("`firmware` needs `state` beside it"), "{complaint}");
}

#[tokio::test]
async fn killed_at_20_moments_nothing_acknowledged_is_lost_and_nothing_is_installed_twice() {
    killed(10).await;
}

#[tokio::test]
#[ignore = "soak"]
async fn soak_killed_at_200_moments_nothing_acknowledged_is_lost_and_nothing_is_installed_twice() {
    killed(100).await;
}

/// Each round kills the agent twice.
async fn killed(rounds: usize) {
    // The program is slow enough to be found running.
    let mut bench = Bench::new("sleep 1; exit 1").await;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let (mut agent, mut registration) = bench.agent().await;
    let mut pushing = Duration::from_millis(500);
    for round in 0..rounds {
        // In a push, as far as one is not over sooner than a random moment.
        let (began, fresh) = (std::time::Instant::now(), package(random.next()));
        let moment = random.up_to(pushing);
        let pushed = tokio::select! {
            pushed = bench.push(&registration, fresh.clone()) => pushed.is_ok_and(|code| code == Code::CHANGED),
            () = sleep(moment) => false,
        };
        if pushed {
            pushing = began.elapsed();
        }
        drop(agent);
        (agent, registration) = bench.agent().await;
        let found = bench.settled(&registration).await;
        match found {
            (2, 0) => {}
            // It may have been whole before its server heard of it, or not have begun.
            (0, _) if !pushed => assert_eq!(bench.push(&registration, fresh.clone()).await.unwrap(), Code::CHANGED),
            _ => panic!("round {round}, killed after {moment:?} of a push, {pushed}: {found:?}"),
        }

        // After an Execute: before the program starts, while it runs, or after its end.
        let before = bench.calls();
        assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
        let moment = random.up_to(Duration::from_secs(6));
        sleep(moment).await;
        drop(agent);
        (agent, registration) = bench.agent().await;
        let found = bench.settled(&registration).await;
        // Nothing is begun later.
        sleep(Duration::from_millis(300)).await;
        let expected = match bench.calls() - before {
            0 => (2, 8),
            1 => (0, 1),
            calls => panic!("round {round}: {calls} calls"),
        };
        assert_eq!(found, expected, "round {round}, killed {moment:?} after the Execute");
        if expected == (0, 1) {
            assert!(fs::read(bench.path("installed")).unwrap() == fresh, "what came was installed");
        } else {
            assert_eq!(bench.execute(&registration, 10).await, Code::CHANGED);
        }
    }
}

/// The observer sees the end of an update that the agent did not live to see, without having asked again.
#[tokio::test]
async fn what_is_observed_outlives_the_agent_where_that_is_configured() {
    let mut bench = Bench::new("while [ ! -e \"${0%/*}/go\" ]; do sleep 0.05; done; exit 1").await;
    let config = format!("after-restart = 'resume'\n{}", fs::read_to_string(bench.path("agent.toml")).unwrap());
    fs::write(bench.path("agent.toml"), config).unwrap();
    let (agent, registration) = bench.agent().await;
    let observe = Request::Observe { path: resource(3), format: None };
    assert_eq!(bench.ask(&registration, observe).await.unwrap(), Code::CONTENT);
    assert_eq!(bench.push(&registration, package(1)).await.unwrap(), Code::CHANGED);
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!(bench.states_up_to(&agent, 3).await, [1, 2, 3]);
    // Before the program runs, nothing would be begun any more.
    common::eventually(|| bench.calls() == 1, || "the program".to_owned());
    agent.stop(Signal::KILL);
    fs::write(bench.path("go"), "").unwrap();
    let agent = Running::start(&["run", "--config", bench.path("agent.toml").to_str().unwrap()]);
    let mut states = bench.states_up_to(&agent, 0).await;
    states.dedup();
    assert!(states == [0] || states == [3, 0], "{states:?}");
    assert_eq!(bench.number(&registration, 5).await, 1, "and asks at once, by the registration that it had");
    agent.says("gw goes on with its registration at coap://");

    // Nor does it say farewell when it is told to end.
    let (code, _, said) = agent.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{said}");
    let agent = Running::start(&["run", "--config", bench.path("agent.toml").to_str().unwrap()]);
    assert_eq!(bench.states_up_to(&agent, 0).await, [0]);
    assert_eq!(bench.settled(&registration).await, (0, 1));
}

#[tokio::test]
async fn an_update_is_put_off_where_that_is_configured_for_as_long_as_the_server_permits() {
    let mut bench = Bench::new("exit 1").await;
    let config = format!("{}defer = ['mandatory']\n", fs::read_to_string(bench.path("agent.toml")).unwrap());
    fs::write(bench.path("agent.toml"), config).unwrap();
    let (agent, registration) = bench.agent().await;
    assert_eq!(bench.push(&registration, package(1)).await.unwrap(), Code::CHANGED);
    bench.set(&registration, 13, Value::Unsigned(3_600)).await;
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!((bench.settled(&registration).await, bench.calls()), ((2, 11), 0));
    // Still put off after a restart; and then its severity is one that is not put off.
    drop(agent);
    let (_agent, registration) = bench.agent().await;
    assert_eq!((bench.settled(&registration).await, bench.calls()), ((2, 11), 0));
    bench.set(&registration, 11, Value::Integer(0)).await;
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!((bench.settled(&registration).await, bench.calls()), ((0, 1), 1));
}
