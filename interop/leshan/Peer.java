import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.dtls.ExtendedMasterSecretMode;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.leshan.core.ResponseCode;

/**
 * What every peer needs: options, keys, the DTLS settings, and the JSON lines. Compiled with either version of the library.
 */
final class Peer {
    interface Answer {
        void perform(JsonNode request, ObjectNode answer) throws Exception;
    }

    /** {@code name=value} arguments from that place on. */
    static Map<String, String> options(String[] args, int from) {
        Map<String, String> options = new LinkedHashMap<>();
        for (int i = from; i < args.length; i++) options.put(args[i].split("=", 2)[0], args[i].split("=", 2)[1]);
        return options;
    }

    /**
     * {@code cid=N} is the length of its own Connection IDs (absent: none are used), {@code suites=A,B} the only cipher suites,
     * {@code ems=none} leaves out the Extended Master Secret.
     */
    static void dtls(Configuration configuration, Map<String, String> options) {
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false); // allows ..._AES_128_CBC_SHA256
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, options.containsKey("cid") ? Integer.valueOf(options.get("cid")) : null);
        if (options.containsKey("suites")) {
            List<CipherSuite> suites = new ArrayList<>();
            for (String name : options.get("suites").split(",")) suites.add(CipherSuite.getTypeByName(name));
            configuration.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, suites.toArray(new CipherSuite[0]));
        }
        if ("none".equals(options.get("ems"))) {
            configuration.set(DtlsConfig.DTLS_EXTENDED_MASTER_SECRET_MODE, ExtendedMasterSecretMode.NONE);
        }
    }

    static PublicKey publicKey(byte[] spki) throws Exception {
        return KeyFactory.getInstance("EC").generatePublic(new X509EncodedKeySpec(spki));
    }

    static PublicKey publicKey(String file) throws Exception {
        return publicKey(Files.readAllBytes(Path.of(file)));
    }

    static PrivateKey privateKey(String file) throws Exception {
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(Path.of(file))));
    }

    static X509Certificate[] certificates(String file) throws Exception {
        try (FileInputStream in = new FileInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(new X509Certificate[0]);
        }
    }

    /** Answers each line of standard input, until its end; answers may overlap, each carries its request's id. */
    static void serve(Answer answer) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode request = Nodes.JSON.readTree(line);
            new Thread(() -> {
                ObjectNode out = Nodes.JSON.createObjectNode().set("id", request.get("id"));
                try {
                    answer.perform(request, out);
                } catch (Throwable e) {
                    out.put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
                }
                emit(out);
            }).start();
        }
    }

    static String code(ResponseCode code) {
        return code.getCode() / 100 + "." + String.format("%02d", code.getCode() % 100);
    }

    static ObjectNode event(String name) {
        return Nodes.JSON.createObjectNode().put("event", name);
    }

    static synchronized void emit(JsonNode node) {
        System.out.println(node);
        System.out.flush();
    }
}
