//! Tests of Lapwing against independent peers; they live in `tests/`.
