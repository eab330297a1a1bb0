import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.core.request.BootstrapDeleteRequest;
import org.eclipse.leshan.core.request.BootstrapDiscoverRequest;
import org.eclipse.leshan.core.request.BootstrapDownlinkRequest;
import org.eclipse.leshan.core.request.BootstrapReadRequest;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.BootstrapWriteRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.response.BootstrapDiscoverResponse;
import org.eclipse.leshan.core.response.BootstrapReadResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.server.bootstrap.BootstrapFailureCause;
import org.eclipse.leshan.server.bootstrap.BootstrapSession;
import org.eclipse.leshan.server.bootstrap.BootstrapSessionListener;
import org.eclipse.leshan.server.bootstrap.BootstrapTaskProvider;
import org.eclipse.leshan.server.bootstrap.LeshanBootstrapServer;
import org.eclipse.leshan.server.bootstrap.LeshanBootstrapServerBuilder;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.CaliforniumBootstrapServerEndpointsProvider;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coap.CoapBootstrapServerProtocolProvider;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coaps.CoapsBootstrapServerProtocolProvider;
import org.eclipse.leshan.server.security.BootstrapSecurityStoreAdapter;
import org.eclipse.leshan.server.security.InMemorySecurityStore;
import org.eclipse.leshan.server.security.SecurityInfo;

/**
 * Leshan's bootstrap server (library 2.0.0-M15, Californium and Scandium 3) as a test peer: JSON lines as LeshanServerPeer's. Each
 * client is given a script, a list of tasks (delete, discover, read, write); Bootstrap-Finish follows by itself.
 *
 * Arguments: host, CoAP port, CoAPS port (0 = any free one), then any of those of LeshanServerPeer but follow=.
 */
public class LeshanBootstrapPeer {
    static final InMemorySecurityStore SECURITY = new InMemorySecurityStore();
    static final Map<String, JsonNode> SCRIPTS = new ConcurrentHashMap<>();
    static LwM2mModel model;

    public static void main(String[] args) throws Exception {
        LeshanBootstrapServer server = build(args[0], Integer.parseInt(args[1]), Integer.parseInt(args[2]), Peer.options(args, 3));
        server.addListener(new Events());
        server.start();
        ObjectNode ready = Peer.event("ready");
        server.getEndpoints().forEach(e -> ready.put(e.getProtocol().getName().toLowerCase(), e.getURI().getPort()));
        Peer.emit(ready);
        Peer.serve(LeshanBootstrapPeer::perform);
        server.destroy();
        System.exit(0);
    }

    static LeshanBootstrapServer build(String host, int coap, int coaps, Map<String, String> options) throws Exception {
        List<ObjectModel> models = ObjectLoader.loadAllDefault();
        if (options.containsKey("models")) models.addAll(ObjectLoader.loadObjectsFromDir(new File(options.get("models")), true));
        // a bootstrap server knows no client's versions: the newest of each object
        Map<Integer, ObjectModel> newest = new LinkedHashMap<>();
        models.forEach(m -> newest.merge(m.id, m, (a, b) -> a.version.compareTo(b.version) > 0 ? a : b));
        model = new StaticModel(newest.values());
        LeshanBootstrapServerBuilder builder = new LeshanBootstrapServerBuilder();
        builder.setObjectModelProvider((session, supported) -> model);
        builder.setTaskProvider(LeshanBootstrapPeer::tasks);
        builder.setSecurityStore(new BootstrapSecurityStoreAdapter(SECURITY));
        if (options.containsKey("key")) builder.setPrivateKey(Peer.privateKey(options.get("key")));
        if (options.containsKey("pub")) builder.setPublicKey(Peer.publicKey(options.get("pub")));
        if (options.containsKey("cert")) {
            builder.setCertificateChain(Peer.certificates(options.get("cert")));
            builder.setTrustedCertificates(Peer.certificates(options.get("trust")));
        }
        CaliforniumBootstrapServerEndpointsProvider.Builder endpoints = new CaliforniumBootstrapServerEndpointsProvider.Builder(
                new CoapBootstrapServerProtocolProvider(), new CoapsBootstrapServerProtocolProvider());
        Configuration configuration = endpoints.createDefaultConfiguration();
        Peer.dtls(configuration, options);
        endpoints.setConfiguration(configuration);
        endpoints.addEndpoint(new InetSocketAddress(host, coap), Protocol.COAP);
        endpoints.addEndpoint(new InetSocketAddress(host, coaps), Protocol.COAPS);
        builder.setEndpointsProviders(endpoints.build());
        return builder.build();
    }

    static void perform(JsonNode r, ObjectNode out) throws Exception {
        String ep = r.get("ep").asText();
        switch (r.get("op").asText()) {
            case "psk":
                SECURITY.add(SecurityInfo.newPreSharedKeyInfo(ep, r.get("identity").asText(), HexFormat.of().parseHex(r.get("key").asText())));
                return;
            case "rpk":
                SECURITY.add(SecurityInfo.newRawPublicKeyInfo(ep, Peer.publicKey(HexFormat.of().parseHex(r.get("key").asText()))));
                return;
            case "x509":
                SECURITY.add(SecurityInfo.newX509CertInfo(ep));
                return;
            case "script":
                for (JsonNode task : r.get("tasks")) request(task); // a wrong one is told now, not in the client's session
                SCRIPTS.put(ep, r.get("tasks"));
                return;
            default:
                throw new IllegalArgumentException("unknown op " + r.get("op").asText());
        }
    }

    /** A client's script as one batch of requests. */
    static BootstrapTaskProvider.Tasks tasks(BootstrapSession session, List<LwM2mResponse> previous) {
        JsonNode script = SCRIPTS.get(session.getEndpoint());
        if (script == null) return null;
        BootstrapTaskProvider.Tasks tasks = new BootstrapTaskProvider.Tasks();
        tasks.supportedObjects = new HashMap<>();
        tasks.requestsToSend = new ArrayList<>();
        for (JsonNode task : script) tasks.requestsToSend.add(request(task));
        return tasks;
    }

    static BootstrapDownlinkRequest<? extends LwM2mResponse> request(JsonNode t) {
        String path = t.path("path").asText("/");
        ContentFormat format = t.has("format") ? ContentFormat.fromName(t.get("format").asText()) : ContentFormat.TLV;
        switch (t.get("op").asText()) {
            case "delete": return new BootstrapDeleteRequest(path);
            case "discover": return new BootstrapDiscoverRequest(path);
            case "read": return new BootstrapReadRequest(format, path);
            case "write": return new BootstrapWriteRequest(new LwM2mPath(path), Nodes.node(new LwM2mPath(path), t.get("content"), model), format);
            default: throw new IllegalArgumentException("unknown task " + t);
        }
    }

    static class Events implements BootstrapSessionListener {
        @Override public void sessionInitiated(BootstrapRequest request, LwM2mPeer client) {
            Peer.emit(Peer.event("initiated").put("ep", request.getEndpointName()).put("peer", client.toString())
                    .put("preferred", String.valueOf(request.getPreferredContentFormat())));
        }
        @Override public void unAuthorized(BootstrapRequest request, LwM2mPeer client) {
            Peer.emit(Peer.event("unauthorized").put("ep", request.getEndpointName()));
        }
        @Override public void authorized(BootstrapSession s) { }
        @Override public void noConfig(BootstrapSession s) { Peer.emit(Peer.event("no-config").put("ep", s.getEndpoint())); }
        @Override public void sendRequest(BootstrapSession s, BootstrapDownlinkRequest<? extends LwM2mResponse> request) { }
        @Override public void onResponseSuccess(BootstrapSession s, BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
            Peer.emit(reply(s, request, response));
        }
        @Override public void onResponseError(BootstrapSession s, BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
            Peer.emit(reply(s, request, response));
        }
        @Override public void onRequestFailure(BootstrapSession s, BootstrapDownlinkRequest<? extends LwM2mResponse> request, Throwable cause) {
            Peer.emit(asked(s, request).put("error", String.valueOf(cause)));
        }
        @Override public void end(BootstrapSession s) { Peer.emit(Peer.event("finished").put("ep", s.getEndpoint())); }
        @Override public void failed(BootstrapSession s, BootstrapFailureCause cause) {
            Peer.emit(Peer.event("failed").put("ep", s.getEndpoint()).put("cause", cause.toString()));
        }

        private ObjectNode asked(BootstrapSession s, BootstrapDownlinkRequest<?> request) {
            return Peer.event("reply").put("ep", s.getEndpoint()).put("request", request.getClass().getSimpleName())
                    .put("path", String.valueOf(request.getPath()));
        }

        private ObjectNode reply(BootstrapSession s, BootstrapDownlinkRequest<?> request, LwM2mResponse response) {
            ObjectNode e = asked(s, request).put("code", Peer.code(response.getCode()));
            if (response instanceof BootstrapReadResponse && response.isSuccess()) e.set("content", Nodes.json(((BootstrapReadResponse) response).getContent()));
            if (response instanceof BootstrapDiscoverResponse && response.isSuccess()) Nodes.links(e.putArray("links"), ((BootstrapDiscoverResponse) response).getObjectLinks());
            return e;
        }
    }
}
