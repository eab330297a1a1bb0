//! What a record costs an association, from content to datagram and back, replay window and Connection ID included: `cargo bench -p
//! lapwing-dtls --bench record`.

mod pair;

use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use lapwing_dtls::CipherSuite;
use pair::Pair;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SUITES: [CipherSuite; 3] =
    [CipherSuite::PskAes128Ccm8, CipherSuite::EcdheEcdsaAes128GcmSha256, CipherSuite::PskAes128CbcSha256];

#[divan::bench(args = SUITES, consts = [64, 1024])]
fn encrypt<const LENGTH: usize>(bencher: Bencher, suite: CipherSuite) {
    let mut pair = Pair::new(suite);
    bencher.counter(BytesCount::new(LENGTH)).bench_local(|| black_box(pair.seal(black_box(&[0x55; LENGTH]))).len());
}

// A sample's records are made before, and fewer than the replay window has places: their order does not matter.
#[divan::bench(args = SUITES, consts = [64, 1024], sample_size = 32)]
fn decrypt<const LENGTH: usize>(bencher: Bencher, suite: CipherSuite) {
    let mut pair = Pair::new(suite);
    let pair = std::cell::RefCell::new(&mut pair);
    bencher
        .counter(BytesCount::new(LENGTH))
        .with_inputs(|| pair.borrow_mut().seal(&[0x55; LENGTH]).to_vec())
        .bench_local_refs(|datagram| assert_eq!(pair.borrow_mut().open(black_box(datagram)), LENGTH));
}
