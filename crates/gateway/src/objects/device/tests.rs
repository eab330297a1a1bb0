use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::platform::{BoxFuture, Identity, Memory, Time, Versions};

/// A machine that the test decides about.
#[derive(Default)]
struct Machine {
    state: Mutex<State>,
    set_to: AtomicU64,
    may_set_time: bool,
}

#[derive(Default, Clone)]
struct State {
    identity: Identity,
    firmware: Option<String>,
    memory: Option<Memory>,
    power: Vec<PowerSource>,
    utc_offset: i32,
    timezone: Option<String>,
    broken: bool,
}

impl Machine {
    fn new(state: State) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), ..Self::default() })
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn state(&self) -> platform::Result<State> {
        let state = self.state.lock().unwrap().clone();
        if state.broken { Err(platform::Error::failed("the machine", "it is broken")) } else { Ok(state) }
    }
}

impl Host for Machine {
    fn identity(&self) -> BoxFuture<'_, platform::Result<Identity>> {
        Box::pin(async { Ok(self.state()?.identity) })
    }
    fn versions(&self) -> BoxFuture<'_, platform::Result<Versions>> {
        Box::pin(async { Ok(Versions { firmware: self.state()?.firmware }) })
    }
    fn memory(&self) -> BoxFuture<'_, platform::Result<Option<Memory>>> {
        Box::pin(async { Ok(self.state()?.memory) })
    }
    fn power(&self) -> BoxFuture<'_, platform::Result<Vec<PowerSource>>> {
        Box::pin(async { Ok(self.state()?.power) })
    }
    fn time(&self) -> BoxFuture<'_, platform::Result<Time>> {
        Box::pin(async {
            let State { utc_offset, timezone, .. } = self.state()?;
            // tokio's clock, so that tests may pause it.
            static START: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();
            let start = START.get_or_init(tokio::time::Instant::now);
            Ok(Time { unix: Duration::from_millis(1_000_250) + start.elapsed(), utc_offset, timezone })
        })
    }
    fn set_time(&self, unix: Duration) -> BoxFuture<'_, platform::Result<()>> {
        Box::pin(async move {
            if !self.may_set_time {
                return Err(platform::Error::NotPermitted("no".into()));
            }
            self.set_to.store(unix.as_secs(), Ordering::Relaxed);
            Ok(())
        })
    }
}

impl Supervisor for Machine {
    fn reboot(&self) -> BoxFuture<'_, platform::Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn boot(&self) -> BoxFuture<'_, platform::Result<String>> {
        Box::pin(async { Ok("a boot".into()) })
    }
}

async fn device(machine: &Arc<Machine>, values: DeviceValues) -> Device {
    Device::probe(&id::V1_2, machine.clone(), machine.clone(), values).await
}

fn values() -> DeviceValues {
    DeviceValues { binding: "U".into(), ..DeviceValues::default() }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const MAINS: PowerSource = PowerSource { kind: PowerKind::Mains, online: true, low: false };
const BATTERY: PowerSource = PowerSource { kind: PowerKind::InternalBattery, online: true, low: false };

fn full() -> State {
    State {
        identity: Identity {
            manufacturer: some("Acme"),
            model: some("Gate"),
            serial: some("7"),
            hardware_version: some("B"),
        },
        firmware: some("12"),
        memory: Some(Memory { total: 8_000_999, available: 4_000_000 }),
        power: vec![MAINS, BATTERY],
        utc_offset: -16_200,
        timezone: some("America/Caracas"),
        broken: false,
    }
}

#[tokio::test]
async fn a_machine_that_tells_everything_offers_everything() {
    let values = DeviceValues { device_type: some("gateway"), software_version: some("1"), ..values() };
    let device = device(&Machine::new(full()), values).await;
    assert_eq!(device.resources(0), [0, 1, 2, 3, 4, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21]);
    let expected: [(ResourceId, Resource); 15] = [
        (id::MANUFACTURER, "Acme".into()),
        (id::MODEL_NUMBER, "Gate".into()),
        (id::SERIAL_NUMBER, "7".into()),
        (id::FIRMWARE_VERSION, "12".into()),
        (id::AVAILABLE_POWER_SOURCES, Resource::multiple([(0, 6), (1, 1)])),
        (id::MEMORY_FREE, 4_000.into()),
        (id::ERROR_CODE, Resource::multiple([(0, 0)])),
        (id::UTC_OFFSET, "-04:30".into()),
        (id::TIMEZONE, "America/Caracas".into()),
        (id::SUPPORTED_BINDING_AND_MODES, "U".into()),
        (id::DEVICE_TYPE, "gateway".into()),
        (id::HARDWARE_VERSION, "B".into()),
        (id::SOFTWARE_VERSION, "1".into()),
        (id::MEMORY_TOTAL, 8_000.into()),
        (id::CURRENT_TIME, device.read(0, id::CURRENT_TIME).await.unwrap()),
    ];
    for (resource, value) in expected {
        assert_eq!(device.read(0, resource).await, Ok(value.clone()), "{resource}");
        assert_eq!(id::V1_2.resource(resource).unwrap().check(&value), Ok(()), "{resource}");
    }
}

#[tokio::test]
async fn what_has_no_source_is_not_offered() {
    let device = device(&Machine::new(State::default()), values()).await;
    let expected = [id::REBOOT, id::ERROR_CODE, id::RESET_ERROR_CODE, id::CURRENT_TIME, id::UTC_OFFSET, 16];
    assert_eq!(device.resources(0), expected);
    assert_eq!(device.read(0, id::MANUFACTURER).await, Err(Error::NotFound));
    assert_eq!(device.read(0, id::EXT_DEV_INFO).await, Err(Error::NotFound));
}

#[tokio::test]
async fn what_is_configured_goes_before_what_the_machine_tells() {
    let values = DeviceValues {
        serial: some("configured"),
        firmware_version: some("7.1"),
        power_sources: Some(vec![PowerKind::Dc]),
        ..values()
    };
    let device = device(&Machine::new(full()), values).await;
    assert_eq!(device.read(0, id::SERIAL_NUMBER).await, Ok("configured".into()));
    assert_eq!(device.read(0, id::FIRMWARE_VERSION).await, Ok("7.1".into()));
    assert_eq!(device.read(0, id::AVAILABLE_POWER_SOURCES).await, Ok(Resource::multiple([(0, 0)])));
    assert_eq!(device.read(0, id::MODEL_NUMBER).await, Ok("Gate".into()));
}

#[tokio::test]
async fn a_source_that_fails_is_offered_and_unavailable_until_it_works() {
    let machine = Machine::new(State { broken: true, ..full() });
    let device = device(&machine, values()).await;
    assert!(device.resources(0).contains(&id::MEMORY_FREE));
    let error = device.read(0, id::MEMORY_FREE).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(reason) if reason.contains("it is broken")), "{error}");
    machine.set(|state| state.broken = false);
    assert_eq!(device.read(0, id::MEMORY_FREE).await, Ok(4_000.into()));
}

#[tokio::test]
async fn lwm2m_1_0_has_the_object_in_its_first_version() {
    let machine = Machine::new(full());
    let device = Device::probe(&id::V1_0, machine.clone(), machine, values()).await;
    assert_eq!(device.definition().version, lapwing::Version::V1_0);
    assert!(device.resources(0).iter().all(|resource| id::V1_0.resource(*resource).is_some()));
}

#[tokio::test]
async fn a_reset_of_the_errors_brings_back_those_that_persist() {
    let off = PowerSource { online: false, ..MAINS };
    let low = PowerSource { low: true, ..BATTERY };
    let machine = Machine::new(State { power: vec![off, BATTERY], ..full() });
    let device = device(&machine, values()).await;
    assert_eq!(device.read(0, id::ERROR_CODE).await, Ok(Resource::multiple([(0, 2)])));
    machine.set(|state| state.power = vec![off, low]);
    assert_eq!(device.read(0, id::ERROR_CODE).await, Ok(Resource::multiple([(0, 2), (1, 1)])));
    let _ = device.execute(0, id::RESET_ERROR_CODE, Arguments::NONE).await.unwrap();
    assert_eq!(device.read(0, id::ERROR_CODE).await, Ok(Resource::multiple([(0, 1), (1, 2)])));
    machine.set(|state| state.power = vec![MAINS, BATTERY]);
    assert_eq!(device.read(0, id::ERROR_CODE).await, Ok(Resource::multiple([(0, 0)])));
}

#[tokio::test]
async fn only_reboot_and_reset_can_be_executed() {
    let device = device(&Machine::new(full()), values()).await;
    for resource in [id::FACTORY_RESET, id::MANUFACTURER] {
        let refused = device.execute(0, resource, Arguments::NONE).await;
        assert_eq!(refused.err(), Some(Error::MethodNotAllowed));
    }
}

#[tokio::test]
async fn the_clock_is_written_only_where_configured() {
    let machine = Machine::new(full());
    let locked = device(&machine, values()).await.shared;
    assert_eq!(locked.accept(id::CURRENT_TIME, &Value::Time(5).into()), Err(Error::MethodNotAllowed));
    let open = device(&machine, DeviceValues { current_time_writable: true, ..values() }).await.shared;
    assert_eq!(open.accept(id::CURRENT_TIME, &Resource::Single(Value::Time(5))), Ok(5));
    assert!(matches!(open.accept(id::CURRENT_TIME, &Resource::Single(Value::Time(-1))), Err(Error::BadRequest(_))));
    for resource in [id::UTC_OFFSET, id::TIMEZONE] {
        assert_eq!(open.accept(resource, &"x".into()), Err(Error::MethodNotAllowed), "{resource}");
    }
    assert_eq!(open.host.set_time(Duration::ZERO).await.map_err(failure), Err(Error::MethodNotAllowed));
}

#[tokio::test(start_paused = true)]
async fn the_clock_ticks_on_the_second() {
    let machine = Machine::new(full());
    let device = device(&machine, values()).await;
    let seen = Mutex::new(Vec::new());
    let tick = device.shared.tick(|resource, value| {
        assert_eq!(resource, id::CURRENT_TIME);
        seen.lock().unwrap().push(value.unwrap().as_time().unwrap());
    });
    let _ = tokio::time::timeout(Duration::from_secs(10), tick).await;
    let seen = seen.into_inner().unwrap();
    assert!((10..=11).contains(&seen.len()), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn what_changes_by_itself_is_reported_once_for_each_change() {
    let machine = Machine::new(full());
    let device = device(&machine, values()).await;
    let seen = Mutex::new(Vec::new());
    let resources = [id::MEMORY_FREE, id::ERROR_CODE, id::TIMEZONE];
    let sample = device.shared.sample(&resources, |resource, value| seen.lock().unwrap().push((resource, value)));
    let change = async {
        tokio::time::sleep(SAMPLE_PERIOD * 2).await;
        machine.set(|state| state.memory = Some(Memory { total: 8_000_000, available: 1_000_000 }));
        tokio::time::sleep(SAMPLE_PERIOD * 2).await;
        machine.set(|state| state.power = vec![BATTERY, PowerSource { online: false, ..MAINS }]);
        machine.set(|state| state.timezone = some("UTC"));
        tokio::time::sleep(SAMPLE_PERIOD * 2).await;
    };
    tokio::select! {
        () = sample => unreachable!("it ends with its observation"),
        () = change => {}
    }
    let expected =
        [(id::MEMORY_FREE, Some(Value::Integer(1_000))), (id::ERROR_CODE, None), (id::TIMEZONE, Some("UTC".into()))];
    assert_eq!(seen.into_inner().unwrap(), expected);
}

#[test]
fn offsets_are_written_as_iso_8601_does() {
    assert_eq!(utc_offset(0), "+00:00");
    assert_eq!(utc_offset(7_200), "+02:00");
    assert_eq!(utc_offset(-16_200), "-04:30");
    assert_eq!(utc_offset(20_700), "+05:45");
    assert_eq!(utc_offset(3_208), "+00:53");
}
