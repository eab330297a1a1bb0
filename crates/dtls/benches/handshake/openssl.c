/* OpenSSL's full DTLS 1.2 handshakes, client and server in one thread over memory: PSK|ECDHE COUNT FOLDER_OF_KEYS.
 * Prints nanoseconds of time and of CPU a handshake. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *folder;

static void check(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static X509 *certificate(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    BIO *file = BIO_new_file(path, "rb");
    check(file != NULL, path);
    X509 *read = d2i_X509_bio(file, NULL);
    check(read != NULL, path);
    BIO_free(file);
    return read;
}

static EVP_PKEY *key(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    BIO *file = BIO_new_file(path, "rb");
    check(file != NULL, path);
    EVP_PKEY *read = d2i_PrivateKey_bio(file, NULL);
    check(read != NULL, path);
    BIO_free(file);
    return read;
}

static const unsigned char SECRET[] = "sixteen secret b";

static unsigned int client_psk(SSL *s, const char *hint, char *identity, unsigned int most, unsigned char *psk, unsigned int length) {
    (void)s, (void)hint, (void)length;
    snprintf(identity, most, "urn:dev:os:0023C7-000001");
    memcpy(psk, SECRET, 16);
    return 16;
}

static unsigned int server_psk(SSL *s, const char *identity, unsigned char *psk, unsigned int length) {
    (void)s, (void)identity, (void)length;
    memcpy(psk, SECRET, 16);
    return 16;
}

static int cookie_make(SSL *s, unsigned char *cookie, unsigned int *length) {
    (void)s;
    memset(cookie, 7, *length = 32);
    return 1;
}

static int cookie_check(SSL *s, const unsigned char *cookie, unsigned int length) {
    (void)s;
    return length == 32 && cookie[0] == 7;
}

static SSL_CTX *context(int server, int psk) {
    SSL_CTX *c = SSL_CTX_new(DTLS_method());
    check(SSL_CTX_set_cipher_list(c, psk ? "PSK-AES128-CCM8:@SECLEVEL=0" : "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"), "suite");
    SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | (server ? SSL_OP_COOKIE_EXCHANGE : 0));
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_cookie_generate_cb(c, cookie_make);
    SSL_CTX_set_cookie_verify_cb(c, cookie_check);
    if (psk) {
        if (server) SSL_CTX_set_psk_server_callback(c, server_psk);
        else SSL_CTX_set_psk_client_callback(c, client_psk);
        return c;
    }
    check(SSL_CTX_use_certificate(c, certificate(server ? "leaf.der" : "client.der")), "certificate");
    check(SSL_CTX_use_PrivateKey(c, key(server ? "leaf.key.der" : "client.key.der")), "key");
    if (server) check(SSL_CTX_add_extra_chain_cert(c, certificate("middle.der")), "chain");
    check(X509_STORE_add_cert(SSL_CTX_get_cert_store(c), certificate("root.der")), "root");
    /* The middle of 2030, as in the tests. */
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(c), 1910000000);
    check(SSL_CTX_set1_groups_list(c, "P-256"), "group");
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return c;
}

static BIO *pipe_end(void) {
    BIO *b = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(b, -1);
    return b;
}

static void shake(SSL_CTX *cc, SSL_CTX *sc) {
    SSL *client = SSL_new(cc), *server = SSL_new(sc);
    BIO *up = pipe_end(), *down = pipe_end();
    BIO_up_ref(up), BIO_up_ref(down);
    SSL_set_bio(client, down, up);
    SSL_set_bio(server, up, down);
    SSL_set_mtu(client, 1232), SSL_set_mtu(server, 1232);
    SSL_set_connect_state(client), SSL_set_accept_state(server);
    int c = 0, s = 0;
    for (int turn = 0; turn < 20 && !(c == 1 && s == 1); turn++) {
        if (c != 1) c = SSL_do_handshake(client);
        if (s != 1) s = SSL_do_handshake(server);
    }
    check(c == 1 && s == 1, "handshake");
    SSL_free(client), SSL_free(server);
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    check(argc == 4, "PSK|ECDHE COUNT FOLDER");
    int psk = strcmp(argv[1], "PSK") == 0, count = atoi(argv[2]);
    folder = argv[3];
    SSL_CTX *client = context(0, psk), *server = context(1, psk);
    for (int i = 0; i < count / 10; i++) shake(client, server);
    double time = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < count; i++) shake(client, server);
    time = seconds(CLOCK_MONOTONIC) - time, cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%.0f %.0f\n", time * 1e9 / count, cpu * 1e9 / count);
    return 0;
}
