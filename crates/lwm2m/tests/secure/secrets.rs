//! Nothing that is printed has a secret in it: not the configuration, not what is stored, not the engine, not an event.

use lapwing_lwm2m::client::Output;

use crate::scene::{KEY, Scene};

/// Whether a text shows these bytes: as text, in hexadecimal, or as a list of numbers.
fn shows(text: &str, secret: &[u8]) -> bool {
    let text: String = text.to_lowercase().split_whitespace().collect();
    secret.windows(8).any(|part| {
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = part.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let plain: String = part.escape_ascii().to_string().to_lowercase().split_whitespace().collect();
        [hex, list, plain].iter().any(|form| text.contains(form.as_str()))
    })
}

#[test]
fn nothing_printed_has_a_secret_in_it() {
    let mut scene = Scene::new().registered();
    let record = scene.records.values().next().unwrap().clone();
    // After what the engine puts before the export, and its version, role, suite and two flags.
    let master = &record[35 + 6..][..48];
    let mut texts = vec![
        format!("{:#?}", scene.config),
        format!("{:?}", scene.client),
        format!("{:#?}", scene.saved),
        format!("{:#?}", scene.client.accounts().collect::<Vec<_>>()),
        format!("{:#?}", scene.events),
    ];
    scene.disk = crate::scene::Disk::Waits;
    scene.kill();
    let tree = scene.objects.tree();
    scene.client.declare(scene.now(), tree);
    let mut buffer = Vec::new();
    loop {
        let output = scene.client.poll_output(&mut buffer);
        texts.push(format!("{output:#?}"));
        match output {
            Output::Wait(..) => break,
            Output::Open(flow, _) => {
                scene.client.handle_flow(scene.now(), flow, lapwing_lwm2m::client::FlowEvent::Opened);
            }
            _ => {}
        }
    }
    assert!(texts.iter().any(|text| text.contains("Persist")), "{texts:?}");
    assert!(shows("[115, 105, 120, 116, 101, 101, 110, 32]", KEY) && shows("Sixteen secret", KEY), "the check works");
    for text in &texts {
        assert!(!shows(text, KEY), "{text}");
        assert!(!shows(text, master), "{text}");
    }
}
