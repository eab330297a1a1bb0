//! `lapwing demo`.

use std::time::Duration;

use anyhow::{Context, anyhow};
use lapwing::{Event, Events};
use lapwing_gateway::agent::{self, Agent};
use lapwing_gateway::config::SecurityConfig;
use lapwing_server::Server;

use crate::args::DemoOptions;
use crate::bootstrap;
use crate::failure::Failure;
use crate::logging;
use crate::run::{agent_failure, load};
use crate::serve::{bind, page, reachable};
use crate::shutdown::Shutdown;

pub(crate) fn demo(options: DemoOptions) -> Result<(), Failure> {
    logging::start(logging::QUIET);
    let mut config = load(options.config.as_deref())?;
    let endpoint = options.endpoint.or(config.endpoint.take()).unwrap_or_else(agent::host_name);
    config.endpoint = Some(endpoint.clone());
    config.version = options.lwm2m_version.or(config.version);
    crate::runtime()?.block_on(async {
        let mut shutdown = Shutdown::new()?;
        let mut server = bind(&options.serve).await?;
        let (page, handle) = (page(&server), server.handle());
        config.server = Some(format!("coap://{}", reachable(server.coap_address())).parse()?);
        (config.bootstrap_server, config.factory_bootstrap) = (None, None);
        config.security = SecurityConfig::default();
        if options.serve.bootstrap.bootstrap.is_some() {
            bootstrap::demonstrate(&mut server, &endpoint, &mut config)?;
        }
        let bootstrapped = config.bootstrap_server.clone();
        let agent = Agent::new(config).await.map_err(agent_failure)?;
        let mut events = agent.handle().events();
        let until_told = async {
            let greeting = async {
                let after = registered(&mut events).await.context("the agent stopped")?;
                let registration = handle.registration(&endpoint).await.context("the registration ended at once")?;
                println!("{page}");
                if let Some(uri) = bootstrapped {
                    println!("{endpoint} was bootstrapped by {uri}");
                }
                println!("{endpoint} registered in {:.1} ms", 1e3 * after.as_secs_f64());
                println!("{} objects", registration.objects.len());
                anyhow::Ok(())
            };
            tokio::select! {
                greeted = greeting => {
                    if let Err(error) = greeted {
                        tracing::error!("{error:#}");
                    }
                    shutdown.requested().await;
                }
                () = shutdown.requested() => {}
            }
        };
        // The server goes last: the agent de-registers from it.
        tokio::select! {
            ended = agent.run(until_told) => ended.map(|_| ()).map_err(agent_failure),
            ended = serve(server) => ended,
        }
    })
}

async fn registered(events: &mut Events) -> Option<Duration> {
    loop {
        if let Event::Registered { after, .. } = events.next().await? {
            return Some(after);
        }
    }
}

async fn serve(server: Server) -> Result<(), Failure> {
    server.run(std::future::pending()).await?;
    Err(anyhow!("the server stopped").into())
}
