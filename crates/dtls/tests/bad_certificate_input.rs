//! Whatever comes in place of the flights of a handshake with raw public keys or certificates: no panic, nobody believed who should
//! not be, no memory that grows, and no answer larger than what came until the cookie has come back
//! (RFC 6347 sections 4.1.2.7 and 4.2.1).

mod common;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use common::{
    identities::{TIME, client_key, server_config, server_key, ways},
    seconds,
};
use lapwing_dtls::{
    Client, ClientConfig, Event, Server,
    credentials::PeerIdentity,
    handshake::{ClientHello, Fragments},
    record::Records,
    server,
};
use sim::Mutator;

/// How many mutations come before each true flight.
const EACH: u32 = 4;

/// A client and the server, without a cable between them.
struct Wire {
    server: Server,
    now: Duration,
    /// Mutated flights that were given to either end.
    mutated: u32,
    established: u32,
    failed: u32,
}

impl Wire {
    fn new() -> Self {
        let mut config = server_config();
        config.max_handshakes = 8;
        config.max_associations = 8;
        config.max_sessions = 8;
        let mut server = Server::new(Arc::new(config), [1; 32]);
        server.set_time(TIME);
        Self { server, now: seconds(1), mutated: 0, established: 0, failed: 0 }
    }

    fn serve(&mut self, from: SocketAddr, flight: &[Vec<u8>]) -> Vec<Vec<u8>> {
        flight.iter().for_each(|datagram| self.server.handle_datagram(self.now, from, datagram));
        let mut buffer = Vec::new();
        let sent = std::iter::from_fn(|| self.server.poll_transmit(&mut buffer).map(|(_, range)| range));
        let sent: Vec<_> = sent.collect();
        sent.into_iter().map(|range| buffer[range].to_vec()).collect()
    }

    fn answer(&self, client: &mut Client, flight: &[Vec<u8>]) -> Vec<Vec<u8>> {
        flight.iter().for_each(|datagram| client.handle_datagram(self.now, datagram));
        sent(client)
    }

    /// One handshake, mutations of each of its flights before the flight itself.
    fn handshake(&mut self, round: u64, config: &ClientConfig, from: SocketAddr) {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&round.to_be_bytes());
        let mut client = Client::new(Arc::new(config.clone()), seed);
        client.set_time(TIME);
        client.connect(self.now, None);
        let mut flight = sent(&mut client);
        for _ in 0..6 {
            let mut answer = self.amid_mutations(round, &flight, |wire, flight| wire.serve(from, flight));
            answer = self.amid_mutations(round, &answer, |wire, flight| wire.answer(&mut client, flight));
            flight = answer;
        }
        self.judge(&mut client, from);
        self.now += seconds(1);
    }

    /// What comes back for a true flight after some that are not.
    fn amid_mutations(
        &mut self,
        seed: u64,
        flight: &[Vec<u8>],
        mut give: impl FnMut(&mut Self, &[Vec<u8>]) -> Vec<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        if flight.is_empty() {
            return Vec::new();
        }
        let mut answers = Vec::new();
        let mut mutator = Mutator::seeded(seed, flight.to_vec());
        // Every third handshake is left alone up to its end, so that mutations get to its later flights.
        let quiet = seed.is_multiple_of(3) && flight.iter().any(|datagram| datagram[13] < 11);
        for _ in 0..if quiet { 0 } else { EACH } {
            let datagram = mutator.next().to_vec();
            answers.extend(give(self, std::slice::from_ref(&datagram)));
            self.mutated += 1;
        }
        answers.extend(give(self, flight));
        answers
    }

    /// Either both ends know each other for who they are, or it is reported that there is no association.
    fn judge(&mut self, client: &mut Client, from: SocketAddr) {
        let mut of_client = None;
        while let Some(event) = client.poll_event() {
            if let Event::Established(established) = event {
                of_client = Some(established.peer);
            }
        }
        let mut of_server = None;
        while let Some(event) = self.server.poll_event() {
            if let server::Event::Established { association, established, .. } = event {
                of_server = Some((association, established.peer));
            }
        }
        if let Some((association, peer)) = of_server {
            assert_eq!(key(&peer), client_key().public_key().to_der());
            if of_client.is_some() {
                client.send(b"hello").unwrap();
                let datagram = sent(client);
                self.serve(from, &datagram);
                assert!(matches!(self.server.poll_event(), Some(server::Event::Data { data: b"hello", .. })));
                self.established += 1;
            }
            self.server.close(association);
            self.serve(from, &[]);
        }
        match of_client {
            Some(peer) => assert_eq!(key(&peer), server_key().public_key().to_der()),
            None => {
                for second in 0..200 {
                    client.handle_timeout(self.now + seconds(second));
                }
                assert!(matches!(client.poll_event(), Some(Event::Failed(_))));
                self.failed += 1;
            }
        }
    }
}

fn sent(client: &mut Client) -> Vec<Vec<u8>> {
    let mut buffer = Vec::new();
    let mut datagrams = Vec::new();
    while let Some(range) = client.poll_transmit(&mut buffer) {
        datagrams.push(buffer[range].to_vec());
    }
    datagrams
}

/// The SubjectPublicKeyInfo that is in any certificate.
fn key(peer: &PeerIdentity) -> Vec<u8> {
    let (der, length) = match peer {
        PeerIdentity::RawPublicKey(key) => return key.clone(),
        PeerIdentity::Certificate(chain) => (&chain[0], 91),
        other => panic!("{other}"),
    };
    // The algorithm, id-ecPublicKey on secp256r1, begins it.
    let at = der.windows(11).position(|bytes| bytes == [0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d]);
    der[at.unwrap()..][..length].to_vec()
}

fn address(port: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 66], 1 + (port % 16) as u16))
}

fn mutated_flights(count: u32) {
    let mut wire = Wire::new();
    let configs: Vec<_> = ways().into_iter().map(|(_, config)| config).collect();
    let (mut round, mut settled) = (0, None);
    let mut live = 0;
    while wire.mutated < count {
        let mut config = configs[round as usize % configs.len()].clone();
        let first = config.suites.len();
        config.suites.rotate_left(round as usize / configs.len() % first);
        let counted = allocation_counter::measure(|| wire.handshake(round, &config, address(round)));
        live += counted.bytes_current;
        assert!(wire.server.handshakes() <= 8 && wire.server.associations() <= 8);
        assert!(wire.server.memory() < 128 * 1024, "{} bytes", wire.server.memory());
        round += 1;
        // Once the bounds are reached, nothing grows any more.
        if wire.mutated >= count / 4 {
            let settled = *settled.get_or_insert(live);
            assert!(live < settled + 64 * 1024, "{live} bytes, {settled} at first");
        }
    }
    println!(
        "{} flights: {} handshakes good, {} failed, {live} bytes live",
        wire.mutated, wire.established, wire.failed
    );
    assert!(wire.established * 4 > wire.failed, "{} good, {} failed", wire.established, wire.failed);
    assert!(wire.failed * 20 > wire.established, "the mutations are of consequence");
}

#[test]
fn four_thousand_mutated_flights_give_nobody_an_association_and_cost_no_memory() {
    mutated_flights(4_000);
}

#[test]
#[ignore = "soak: a minute"]
fn soak_twenty_thousand_mutated_flights() {
    mutated_flights(20_000);
}

/// Mutated first flights, from one address and from ever new ones.
#[test]
fn until_the_cookie_has_come_back_nothing_is_kept_and_no_answer_is_larger_than_what_came() {
    let mut wire = Wire::new();
    let hellos: Vec<_> = ways()
        .into_iter()
        .flat_map(|(_, config)| {
            let mut client = Client::new(Arc::new(config), [3; 32]);
            client.connect(seconds(0), None);
            sent(&mut client)
        })
        .collect();
    let mut mutator = Mutator::seeded(4347, hellos);
    let before = wire.server.memory();
    for round in 0..20_000u16 {
        let datagram = mutator.next().to_vec();
        let from = SocketAddr::from(([192, 0, 2, 66], if round % 2 == 0 { 6 } else { round }));
        let answer = wire.serve(from, std::slice::from_ref(&datagram));
        let size: usize = answer.iter().map(Vec::len).sum();
        assert!(size <= datagram.len() || has_cookie(&datagram), "{size} bytes for {datagram:02x?}");
    }
    assert_eq!((wire.server.handshakes(), wire.server.associations()), (0, 0));
    assert!(wire.server.memory() <= before + 8 * 1024);
}

fn has_cookie(datagram: &[u8]) -> bool {
    let bodies = Records::new(datagram, 6).filter(|record| record.epoch == 0).map(|record| record.body);
    let mut fragments = bodies.flat_map(Fragments::new);
    fragments.any(|fragment| ClientHello::parse(fragment.body).is_some_and(|hello| !hello.cookie.is_empty()))
}

/// After it, one flight and its bounded retransmissions, however often and however changed the hello comes again.
#[test]
fn a_hello_that_comes_again_has_one_flight_sent_again_a_few_times() {
    for (way, config) in ways() {
        let mut wire = Wire::new();
        let mut client = Client::new(Arc::new(config), [3; 32]);
        client.connect(wire.now, None);
        let hello = sent(&mut client);
        let request = wire.serve(address(1), &hello);
        let hello = wire.answer(&mut client, &request);
        let flight: usize = wire.serve(address(1), &hello).iter().map(Vec::len).sum();
        assert!(flight > hello[0].len(), "{way}");
        let mut total = 0;
        for round in 0..600u16 {
            wire.now += Duration::from_millis(100);
            wire.server.handle_timeout(wire.now);
            // As it was, and with other numbers of message and record.
            let mut again = hello.clone();
            if round % 2 == 0 {
                again[0][9..11].copy_from_slice(&round.to_be_bytes());
                again[0][17..19].copy_from_slice(&round.to_be_bytes());
            }
            total += wire.serve(address(1), &again).iter().map(Vec::len).sum::<usize>();
        }
        // Eight repeats, and five retransmissions within this minute at most.
        assert!(total <= 13 * flight, "{way}: {total} bytes, the flight has {flight}");
        assert!(total >= 8 * flight, "{way}: {total} bytes, the flight has {flight}");
    }
}

/// Checks with the curve are bounded: forged certificates and signatures cannot keep an end busy, and the true ones still count after
/// the next time-out.
#[test]
fn forged_messages_that_cost_much_are_checked_sixteen_times_between_time_outs() {
    let (_, config) = ways().remove(0);
    let mut wire = Wire::new();
    let mut client = Client::new(Arc::new(config), [3; 32]);
    client.set_time(TIME);
    client.connect(wire.now, None);
    let hello = sent(&mut client);
    let request = wire.serve(address(1), &hello);
    let hello = wire.answer(&mut client, &request);
    let flight = wire.serve(address(1), &hello);
    // With a bit of its certificate changed.
    let mut forged = flight.clone();
    let at = forged[0].windows(2).position(|bytes| bytes == [0x30, 0x59]).unwrap();
    forged[0][at + 40] ^= 1;
    let forgery = forged;
    for _ in 0..16 {
        assert!(wire.answer(&mut client, &forgery).is_empty());
    }
    // The budget is used up: not even the true one is looked at, and then the handshake fails by what was forged.
    assert!(wire.answer(&mut client, &flight).is_empty());
    // A server fares better: its client says the same again after the time-out.
    let mut client = Client::new(Arc::new(ways().remove(0).1), [4; 32]);
    client.set_time(TIME);
    client.connect(wire.now, None);
    let hello = sent(&mut client);
    let request = wire.serve(address(2), &hello);
    let hello = wire.answer(&mut client, &request);
    let flight = wire.serve(address(2), &hello);
    let answer = wire.answer(&mut client, &flight);
    let mut forged = answer.clone();
    let at = forged[0].windows(2).position(|bytes| bytes == [0x30, 0x59]).unwrap();
    forged[0][at + 40] ^= 1;
    for _ in 0..20 {
        wire.serve(address(2), &forged);
    }
    assert!(wire.serve(address(2), &answer).is_empty());
    wire.now += seconds(2);
    wire.server.handle_timeout(wire.now);
    assert!(!wire.serve(address(2), &answer).is_empty(), "the Finished of the server");
}
