//! A CoAP client that holds objects, and does what its script says instead where a test wants that.

use std::{
    collections::{BTreeMap, HashMap},
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use lapwing_coap::{
    ContentFormat,
    wire::{Block, Code, Message, MessageId, MessageType, Token, Writer, option},
};
use lapwing_lwm2m::{
    definitions, format,
    model::{Instance, Instances, Level, Node, ObjectDefinition, ObjectId, Path, Resource},
};

use super::PATIENCE;

/// What a device does with a request instead of what is right.
#[derive(Debug, Clone)]
pub(crate) enum Script {
    /// Answers with this code, format and payload.
    Answer(Code, Option<ContentFormat>, Vec<u8>),
    /// Rejects the message.
    Reset,
    /// Says nothing.
    Silence,
    /// Takes so many blocks of a body, and says nothing to the next.
    Stall(u32),
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) code: Code,
    pub(crate) path: String,
    pub(crate) query: Vec<String>,
    pub(crate) accept: Option<ContentFormat>,
    pub(crate) format: Option<ContentFormat>,
    pub(crate) observe: Option<u32>,
    pub(crate) payload: Vec<u8>,
    pub(crate) token: Token,
}

#[derive(Debug)]
struct Shelf {
    objects: BTreeMap<ObjectId, Instances>,
    scripts: HashMap<(Code, String), Script>,
    asked: Vec<Asked>,
    /// What has come so far of a body in blocks.
    body: Vec<u8>,
    /// Reset messages that came, by Message ID.
    resets: Vec<MessageId>,
}

/// A registered client.
pub(crate) struct Device {
    socket: UdpSocket,
    shelf: Arc<Mutex<Shelf>>,
    answers: Receiver<(Code, Vec<String>)>,
    pub(crate) endpoint: String,
    pub(crate) location: String,
    next_id: MessageId,
}

fn definition(object: ObjectId) -> &'static ObjectDefinition {
    definitions::latest(object).unwrap()
}

impl Device {
    /// Registers at `server` with these objects; `query` is added to that of the Register.
    pub(crate) fn register(
        server: SocketAddr,
        endpoint: &str,
        objects: BTreeMap<ObjectId, Instances>,
        query: &[&str],
    ) -> Device {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        let links = links(&objects);
        let shelf = Shelf { objects, scripts: HashMap::new(), asked: Vec::new(), body: Vec::new(), resets: Vec::new() };
        let shelf = Arc::new(Mutex::new(shelf));
        let (tell, answers) = mpsc::channel();
        let serving = (socket.try_clone().unwrap(), Arc::clone(&shelf));
        thread::spawn(move || serve(&serving.0, &serving.1, &tell));
        let mut device =
            Device { socket, shelf, answers, endpoint: endpoint.to_owned(), location: String::new(), next_id: 1 };
        device.register_again(&links, query);
        device
    }

    /// Sends a Register with these links.
    pub(crate) fn register_again(&mut self, links: &str, query: &[&str]) {
        let endpoint = format!("ep={}", self.endpoint);
        let mut whole = vec![endpoint.as_str(), "lwm2m=1.1", "b=U"];
        whole.extend(query);
        let (code, location) = self.ask(Code::POST, &["rd"], &whole, links.as_bytes());
        assert_eq!(code, Code::CREATED);
        assert_eq!(location[0], "rd");
        self.location.clone_from(&location[1]);
    }

    /// The code that a Register of another endpoint is answered with.
    pub(crate) fn register_as(&mut self, endpoint: &str) -> Code {
        self.ask(Code::POST, &["rd"], &[&format!("ep={endpoint}"), "lwm2m=1.1"], b"</3/0>").0
    }

    /// Sends an Update.
    pub(crate) fn update(&mut self, query: &[&str], links: &str) {
        let location = self.location.clone();
        let (code, _) = self.ask(Code::POST, &["rd", &location], query, links.as_bytes());
        assert_eq!(code, Code::CHANGED);
    }

    pub(crate) fn deregister(&mut self) {
        let location = self.location.clone();
        assert_eq!(self.ask(Code::DELETE, &["rd", &location], &[], b"").0, Code::DELETED);
    }

    fn ask(&mut self, code: Code, path: &[&str], query: &[&str], payload: &[u8]) -> (Code, Vec<String>) {
        let mut buffer = Vec::new();
        let id = self.id();
        let mut writer = Writer::new(&mut buffer, MessageType::Con, code, id, Token::new(&id.to_be_bytes()).unwrap());
        for segment in path {
            writer.option_str(option::URI_PATH, segment);
        }
        if !payload.is_empty() {
            writer.option_uint(option::CONTENT_FORMAT, u32::from(ContentFormat::LINK_FORMAT.0));
        }
        for parameter in query {
            writer.option_str(option::URI_QUERY, parameter);
        }
        writer.payload(payload).finish();
        self.socket.send(&buffer).unwrap();
        self.answers.recv_timeout(PATIENCE).expect("an answer of the server")
    }

    fn id(&mut self) -> MessageId {
        self.next_id += 1;
        self.next_id
    }

    /// Makes the device treat such requests as `script` says.
    pub(crate) fn script(&self, code: Code, path: &str, script: Script) {
        self.shelf.lock().unwrap().scripts.insert((code, path.to_owned()), script);
    }

    /// Requests that came so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shelf.lock().unwrap().asked.clone()
    }

    /// The last request that came.
    pub(crate) fn last(&self) -> Asked {
        self.shelf.lock().unwrap().asked.last().cloned().expect("a request")
    }

    /// Whether a Reset came for that message.
    pub(crate) fn was_reset(&self, id: MessageId) -> bool {
        self.shelf.lock().unwrap().resets.contains(&id)
    }

    /// What a resource holds.
    pub(crate) fn resource(&self, path: &str) -> Option<Resource> {
        let path: Path = path.parse().unwrap();
        let shelf = self.shelf.lock().unwrap();
        let [object, instance, resource] = path.ids() else { panic!("the path of a resource") };
        shelf.objects.get(object)?.get(instance)?.get(resource).cloned()
    }

    pub(crate) fn has_instance(&self, object: ObjectId, instance: u16) -> bool {
        self.shelf.lock().unwrap().objects[&object].contains_key(&instance)
    }

    /// Sends a notification of `path`, not confirmable, with the token of the last Observe.
    pub(crate) fn notify(&mut self, path: &str, sequence: u32) -> MessageId {
        let token = self.asked().iter().rev().find(|asked| asked.observe == Some(0)).expect("an Observe").token;
        let id = self.id();
        let path: Path = path.parse().unwrap();
        let mut payload = Vec::new();
        let shelf = self.shelf.lock().unwrap();
        let node = node(&shelf.objects, &path).expect("something at the path");
        format::encode(ContentFormat::TLV, &path, &node, &mut payload).unwrap();
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, MessageType::Non, Code::CONTENT, id, token);
        writer.option_uint(option::OBSERVE, sequence);
        writer.option_uint(option::CONTENT_FORMAT, u32::from(ContentFormat::TLV.0)).payload(&payload).finish();
        self.socket.send(&buffer).unwrap();
        id
    }
}

fn links(objects: &BTreeMap<ObjectId, Instances>) -> String {
    let mut links = vec!["</>;rt=\"oma.lwm2m\";ct=11542".to_owned()];
    for (object, instances) in objects {
        let version = definition(*object).version;
        links.push(format!("</{object}>;ver={version}"));
        links.extend(instances.keys().map(|instance| format!("</{object}/{instance}>")));
    }
    links.join(",")
}

fn serve(socket: &UdpSocket, shelf: &Mutex<Shelf>, tell: &Sender<(Code, Vec<String>)>) {
    let mut datagram = [0; 2048];
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    while let Ok(length) = socket.recv(&mut datagram) {
        let message = Message::parse(&datagram[..length]).unwrap();
        if message.kind == MessageType::Rst {
            shelf.lock().unwrap().resets.push(message.id);
        } else if message.code.is_response() {
            let location = message.options.location_path().map(str::to_owned).collect();
            if tell.send((message.code, location)).is_err() {
                return;
            }
        } else if message.code.is_request()
            && let Some(answer) = shelf.lock().unwrap().answer(&message)
            && socket.send(&answer).is_err()
        {
            return;
        }
    }
}

/// What the device answers: code, format, payload, Location, whether with Observe.
#[derive(Default)]
struct Reply {
    code: Option<Code>,
    format: Option<ContentFormat>,
    payload: Vec<u8>,
    location: Option<Path>,
    observe: bool,
}

impl Reply {
    fn code(code: Code) -> Reply {
        Reply { code: Some(code), ..Reply::default() }
    }

    fn error(code: Code, text: &str) -> Reply {
        Reply { payload: text.into(), ..Reply::code(code) }
    }
}

/// What has become of a body with a block.
enum Collected {
    /// It is complete.
    Whole(Vec<u8>),
    /// It is not: the answer, if there is one.
    Part(Option<Vec<u8>>),
}

impl Shelf {
    fn answer(&mut self, message: &Message<'_>) -> Option<Vec<u8>> {
        let segments: Vec<&str> = message.options.uri_path().collect();
        let block1 = message.options.block1().unwrap();
        let payload = match block1.map(|block| self.collect(message, block)) {
            None => message.payload.to_vec(),
            Some(Collected::Whole(body)) => body,
            Some(Collected::Part(answer)) => return answer,
        };
        let asked = Asked {
            code: message.code,
            path: format!("/{}", segments.join("/")),
            query: message.options.uri_query().map(str::to_owned).collect(),
            accept: message.options.accept(),
            format: message.options.content_format(),
            observe: message.options.observe(),
            payload,
            token: message.token,
        };
        self.asked.push(asked.clone());
        let reply = match self.scripts.get(&(asked.code, asked.path.clone())) {
            Some(Script::Silence) => return None,
            Some(Script::Reset) => {
                let mut buffer = Vec::new();
                Writer::empty(&mut buffer, MessageType::Rst, message.id);
                return Some(buffer);
            }
            Some(Script::Answer(code, format, payload)) => {
                Reply { format: *format, payload: payload.clone(), ..Reply::code(*code) }
            }
            None | Some(Script::Stall(_)) => self.act(&asked, segments),
        };
        let mut buffer = Vec::new();
        let code = reply.code.expect("every reply has a code");
        let mut writer = Writer::new(&mut buffer, MessageType::Ack, code, message.id, message.token);
        if reply.observe {
            writer.option_uint(option::OBSERVE, 1);
        }
        for id in reply.location.iter().flat_map(Path::ids) {
            writer.option_str(option::LOCATION_PATH, &id.to_string());
        }
        if let Some(format) = reply.format {
            writer.option_uint(option::CONTENT_FORMAT, u32::from(format.0));
        }
        if let Some(block) = block1 {
            writer.option_block(option::BLOCK1, block);
        }
        writer.payload(&reply.payload).finish();
        Some(buffer)
    }

    /// Takes in a block of a body.
    fn collect(&mut self, message: &Message<'_>, block: Block) -> Collected {
        let path = format!("/{}", message.options.uri_path().collect::<Vec<_>>().join("/"));
        if let Some(Script::Stall(blocks)) = self.scripts.get(&(message.code, path))
            && block.number >= *blocks
        {
            return Collected::Part(None);
        }
        // A duplicate is answered as the first one was.
        self.body.truncate(usize::try_from(block.offset()).unwrap());
        self.body.extend_from_slice(message.payload);
        if !block.more {
            return Collected::Whole(std::mem::take(&mut self.body));
        }
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, MessageType::Ack, Code::CONTINUE, message.id, message.token);
        writer.option_block(option::BLOCK1, block).finish();
        Collected::Part(Some(buffer))
    }

    fn act(&mut self, asked: &Asked, segments: Vec<&str>) -> Reply {
        let Ok(path) = Path::from_segments(segments) else { return Reply::error(Code::BAD_REQUEST, "no path") };
        match asked.code {
            Code::GET if asked.accept == Some(ContentFormat::LINK_FORMAT) => self.discover(&path),
            Code::GET => self.read(&path, asked),
            Code::PUT if !asked.query.is_empty() => Reply::code(Code::CHANGED),
            Code::PUT => self.write(&path, asked, true),
            Code::POST if path.level() == Level::Object => self.create(&path, asked),
            Code::POST if asked.format.is_some_and(|format| format != ContentFormat::TEXT) => {
                self.write(&path, asked, false)
            }
            Code::POST => Reply::code(Code::CHANGED),
            Code::DELETE => self.delete(&path),
            _ => Reply::code(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn discover(&self, path: &Path) -> Reply {
        let mut links = vec![format!("<{path}>;pmin=10")];
        if let [object, instance] = path.ids() {
            let resources = self.objects[object][instance].keys();
            links.extend(resources.map(|resource| format!("<{path}/{resource}>")));
        }
        Reply {
            format: Some(ContentFormat::LINK_FORMAT),
            payload: links.join(",").into(),
            ..Reply::code(Code::CONTENT)
        }
    }

    fn read(&self, path: &Path, asked: &Asked) -> Reply {
        let Some(node) = node(&self.objects, path) else {
            return Reply::error(Code::NOT_FOUND, "nothing is here");
        };
        let format = asked.accept.unwrap_or(ContentFormat::TLV);
        let mut payload = Vec::new();
        if format::encode(format, path, &node, &mut payload).is_err() {
            return Reply::code(Code::NOT_ACCEPTABLE);
        }
        Reply { format: Some(format), payload, observe: asked.observe == Some(0), ..Reply::code(Code::CONTENT) }
    }

    fn write(&mut self, path: &Path, asked: &Asked, replace: bool) -> Reply {
        let definition = definition(path.object_id().unwrap());
        let node = match format::decode(asked.format.unwrap_or(ContentFormat::TEXT), path, definition, &asked.payload) {
            Ok(node) => node,
            Err(error) => return Reply::error(error.code(), &error.to_string()),
        };
        let ids = path.ids();
        let Some(instance) = self.objects.get_mut(&ids[0]).and_then(|instances| instances.get_mut(&ids[1])) else {
            return Reply::code(Code::NOT_FOUND);
        };
        match node {
            Node::Instance(fresh) => {
                if replace {
                    instance.clear();
                }
                for (id, resource) in fresh {
                    put(instance, id, resource, replace);
                }
            }
            Node::Resource(resource) => put(instance, ids[2], resource, replace),
            Node::Value(value) => put(instance, ids[2], Resource::Multiple([(ids[3], value)].into()), false),
            Node::Object(_) => return Reply::code(Code::METHOD_NOT_ALLOWED),
        }
        Reply::code(Code::CHANGED)
    }

    fn create(&mut self, path: &Path, asked: &Asked) -> Reply {
        let [object] = path.ids() else { return Reply::code(Code::BAD_REQUEST) };
        let format = asked.format.unwrap_or(ContentFormat::TLV);
        let instances = self.objects.get_mut(object).unwrap();
        let next = instances.keys().last().map_or(0, |last| last + 1);
        // A TLV without an instance has the resources alone: the client chooses the id.
        let (id, fresh) = match format::decode(format, path, definition(*object), &asked.payload) {
            Ok(Node::Object(mut named)) if named.len() == 1 => named.pop_first().unwrap(),
            _ => match format::decode(format, &path.instance(next), definition(*object), &asked.payload) {
                Ok(Node::Instance(instance)) => (next, instance),
                other => return Reply::error(Code::BAD_REQUEST, &format!("{other:?}")),
            },
        };
        instances.insert(id, fresh);
        Reply { location: Some(path.instance(id)), ..Reply::code(Code::CREATED) }
    }

    fn delete(&mut self, path: &Path) -> Reply {
        let [object, instance] = path.ids() else { return Reply::code(Code::BAD_REQUEST) };
        let removed = self.objects.get_mut(object).and_then(|instances| instances.remove(instance));
        Reply::code(if removed.is_some() { Code::DELETED } else { Code::NOT_FOUND })
    }
}

fn put(instance: &mut Instance, id: u16, resource: Resource, replace: bool) {
    match (instance.get_mut(&id), resource) {
        (Some(Resource::Multiple(old)), Resource::Multiple(new)) if !replace => old.extend(new),
        (_, resource) => {
            instance.insert(id, resource);
        }
    }
}

fn node(objects: &BTreeMap<ObjectId, Instances>, path: &Path) -> Option<Node> {
    match *path.ids() {
        [object] => objects.get(&object).cloned().map(Node::Object),
        [object, instance] => objects.get(&object)?.get(&instance).cloned().map(Node::Instance),
        [object, instance, resource] => {
            objects.get(&object)?.get(&instance)?.get(&resource).cloned().map(Node::Resource)
        }
        [object, instance, resource, id] => {
            objects.get(&object)?.get(&instance)?.get(&resource)?.get(id).cloned().map(Node::Value)
        }
        _ => None,
    }
}
