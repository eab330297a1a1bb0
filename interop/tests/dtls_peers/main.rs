//! Our DTLS client and server against independent implementations, on loopback. `docs/dtls-peers.md` tells which of these
//! tests proves what.

mod gnutls;
mod keys;
mod libcoap;
mod openssl;
mod ours;
mod scandium;
mod table;
mod tinydtls;
