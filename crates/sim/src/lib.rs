//! A world for tests: virtual time, a seeded cable, and a disk that loses what was not synced.
//!
//! Nothing here reads a clock, opens a socket or touches a real disk, and nothing of Lapwing is imported: a crate's tests bring
//! their engines to the world with a few lines of their own. The same seed gives the same run, to the last datagram.
//!
//! A test is a loop over [`World::next_until`]: it hands each event to the engine of that node, sends what the engine wants sent, and
//! sets the node's timer to what the engine waits for.
//!
//! ```
//! use std::time::Duration;
//! use sim::{Cable, Happening, World};
//!
//! let mut world = World::seeded(7).cable(Cable::new().latency(Duration::from_millis(20)).loss(0.2));
//! let (client, server) = (world.node("client"), world.node("server"));
//! world.set_timer(client, Some(Duration::ZERO));
//! let mut answered = false;
//! while let Some(event) = world.next_until(Duration::from_secs(60)) {
//!     match event.what {
//!         Happening::Timer => {
//!             world.send(client, server, b"ping");
//!             world.set_timer(client, Some(event.at + Duration::from_secs(2)));
//!         }
//!         Happening::Datagram { from, .. } if event.node == server => world.send(server, from, b"pong"),
//!         Happening::Datagram { .. } => {
//!             answered = true;
//!             world.set_timer(client, None);
//!         }
//!         Happening::Alarm(_) => unreachable!(),
//!     }
//! }
//! assert!(answered, "{}", world.trace().ladder(|bytes| String::from_utf8_lossy(bytes).into_owned()));
//! ```

mod cable;
pub mod disk;
mod mutate;
mod random;
mod trace;
mod world;

pub use cable::Cable;
pub use disk::Disk;
pub use mutate::Mutator;
pub use random::Random;
pub use trace::{Fate, Loss, Record, Trace};
pub use world::{Event, Happening, Statistics, World};
