use std::{collections::VecDeque, sync::Arc, time::Duration};

use lapwing_coap::peer;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    Config, Event, FlowId, LwM2mVersion, Notifications, Offset, Operation, OperationId, PersistId, Target, Why,
    bootstrap::Cause,
    operations::{Operations, Phase},
};
use crate::{
    Now,
    account::{Record, ServerAccount, ServerId, ServerUri, ShortServerId},
    connection::Profile,
    definitions::{self, server},
    model::{InstanceId, Level, Path, Tree, TreeObject},
};

/// Bytes kept for encoding the next answer: most fit, and then cost no allocation.
const KEPT_SCRATCH: usize = 4 * 1024;

/// What all sessions share.
pub(super) struct Context {
    /// Elapsed time, as it was in the last call.
    pub(super) now: Duration,
    /// Time since 1970, as it was in the last call, where it is known.
    pub(super) unix: Option<Duration>,
    pub(super) settings: Settings,
    /// What the application declared, as the version of LwM2M shows it, and the Server object.
    pub(super) tree: Tree,
    pub(super) operations: Operations,
    pub(super) outputs: VecDeque<Item>,
    /// For encoding; kept so that an answer costs no allocation.
    pub(super) scratch: Vec<u8>,
    /// Whether [`Event::Observed`] is due.
    pub(super) observed_changed: bool,
    /// The bootstrap server is to be asked, and why.
    pub(super) bootstrap_wanted: Option<Cause>,
    /// There is a bootstrap server, so that a server may have it asked (1/x/9).
    pub(super) bootstrap_offered: bool,
    /// A bootstrap is under way, and no server may change its account meanwhile.
    pub(super) bootstrapping: bool,
    /// Servers that have taken a registration since this was looked at.
    pub(super) registered: Vec<ShortServerId>,
    /// The instances of the Server object in `tree` are those of the accounts.
    pub(super) accounts_shown: bool,
    rng: ChaCha8Rng,
    /// Of connections: how many there are changes nothing of what else is drawn.
    seeds: ChaCha8Rng,
    next_flow: u64,
    next_persist: u64,
}

/// [`Config`] without its accounts, which sessions hold.
pub(super) struct Settings {
    pub(super) endpoint: String,
    pub(super) version: LwM2mVersion,
    pub(super) coap: Arc<peer::Config>,
    pub(super) profile: Profile,
    pub(super) notifications: Notifications,
    pub(super) resume: bool,
    pub(super) max_operations: usize,
    pub(super) max_observations: usize,
    pub(super) max_bootstrap: usize,
}

/// An [`Output`](super::Output) that waits to be polled.
pub(super) enum Item {
    Open(FlowId, Target),
    /// The last datagram of an association, which leaves before its flow is closed.
    Transmit(FlowId, Vec<u8>),
    Close(FlowId),
    Operation(OperationId, Operation),
    Chunk(OperationId, Vec<u8>, bool),
    Pull(OperationId, Offset, usize),
    Abort(OperationId, Why),
    Settled(OperationId),
    Persist(PersistId, Record),
    Event(Event),
}

impl Context {
    pub(super) fn new(now: Now, config: &Config, seed: [u8; 32]) -> Context {
        let mut seeds = ChaCha8Rng::from_seed(seed);
        let rng = ChaCha8Rng::from_rng(&mut seeds);
        Context {
            now: now.elapsed,
            unix: now.unix,
            settings: Settings {
                endpoint: config.endpoint.clone(),
                version: config.version,
                coap: Arc::clone(&config.coap),
                profile: Profile {
                    parameters: config.dtls.clone(),
                    trust_anchors: config.trust_anchors.clone(),
                    unknown_time: config.unknown_time,
                },
                notifications: config.notifications,
                resume: config.resume,
                max_operations: config.max_operations,
                max_observations: config.max_observations.min(config.coap.max_observations),
                max_bootstrap: config.max_bootstrap,
            },
            tree: Tree::new(),
            operations: Operations::new(config.operation_timeout),
            outputs: VecDeque::new(),
            scratch: Vec::new(),
            observed_changed: false,
            bootstrap_wanted: None,
            bootstrap_offered: false,
            bootstrapping: false,
            registered: Vec::new(),
            accounts_shown: true,
            rng,
            seeds,
            next_flow: 0,
            next_persist: 0,
        }
    }

    /// A call came at this time.
    pub(super) fn at(&mut self, now: Now) {
        (self.now, self.unix) = (now.elapsed, now.unix);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Item::Event(event));
    }

    /// Gives back what one large answer needed.
    pub(super) fn trim(&mut self) {
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH);
    }

    pub(super) fn random(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// For a connection of its own.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.seeds.fill_bytes(&mut seed);
        seed
    }

    /// Nobody waits for an operation any more.
    pub(super) fn abandon(&mut self, id: OperationId) {
        self.operations.set_phase(id, Phase::Late);
        self.outputs.push_back(Item::Abort(id, Why::Unreachable));
    }

    pub(super) fn open(&mut self, server: ServerId, uri: &ServerUri, local_port: Option<u16>) -> FlowId {
        let flow = FlowId(self.next_flow);
        self.next_flow += 1;
        self.outputs.push_back(Item::Open(flow, Target { server, uri: uri.clone(), local_port }));
        flow
    }

    pub(super) fn persist(&mut self, record: Record) -> PersistId {
        let id = PersistId(self.next_persist);
        self.next_persist += 1;
        self.outputs.push_back(Item::Persist(id, record));
        id
    }

    /// Takes what the application declared; the Server object stays as it is.
    pub(super) fn declare(&mut self, declared: Tree) {
        let own = self.tree.objects.remove(&server::OBJECT_ID);
        self.tree = as_seen_by(self.settings.version, declared);
        if let Some(own) = own {
            self.tree.insert(own);
        }
    }

    /// Shows these accounts and no others.
    pub(super) fn show_accounts<'a>(&mut self, accounts: impl Iterator<Item = (InstanceId, &'a ServerAccount)>) {
        self.tree.objects.remove(&server::OBJECT_ID);
        accounts.for_each(|(instance, account)| self.show_account(instance, account));
        self.accounts_shown = true;
    }

    /// Shows an account as an instance of the Server object.
    pub(super) fn show_account(&mut self, instance: InstanceId, account: &ServerAccount) {
        let object = self.tree.objects.entry(server::OBJECT_ID).or_insert_with(|| {
            TreeObject::new(match self.settings.version {
                LwM2mVersion::V1_0 => &server::V1_0,
                LwM2mVersion::V1_1 => &server::V1_1,
            })
        });
        let trigger = server::BOOTSTRAP_REQUEST_TRIGGER;
        let offered = self.bootstrap_offered && object.definition.resource(trigger).is_some();
        let resources = account.resources().into_iter().chain(offered.then_some(trigger));
        object.instances.insert(instance, resources.collect());
    }

    /// Whether there is one number at `path`, so that thresholds apply.
    pub(super) fn is_numeric(&self, path: &Path) -> bool {
        let definition = self.tree.object(path).map(|object| &object.definition);
        let resource = definition.zip(path.resource_id()).and_then(|(definition, id)| definition.resource(id));
        let one = |multiple: bool| !multiple || path.level() == Level::ResourceInstance;
        resource.is_some_and(|resource| resource.kind.is_numeric() && one(resource.multiple))
    }
}

/// A client of LwM2M 1.0 has the objects 1, 3 and 4 in version 1.0, with the resources of that version. The Security and the
/// Server object are never the application's.
fn as_seen_by(version: LwM2mVersion, mut tree: Tree) -> Tree {
    use definitions::{connectivity_monitoring, device, security, server};
    tree.objects.remove(&security::OBJECT_ID);
    tree.objects.remove(&server::OBJECT_ID);
    if version == LwM2mVersion::V1_0 {
        for old in [&device::V1_0, &connectivity_monitoring::V1_0] {
            if let Some(object) = tree.objects.get_mut(&old.id) {
                object.definition = old.into();
                for resources in object.instances.values_mut() {
                    resources.retain(|&id| old.resource(id).is_some());
                }
            }
        }
    }
    tree
}
