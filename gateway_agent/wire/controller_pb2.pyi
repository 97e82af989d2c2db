from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Technology(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TECHNOLOGY_UNSPECIFIED: _ClassVar[Technology]
    LORA: _ClassVar[Technology]
    SIGFOX: _ClassVar[Technology]
TECHNOLOGY_UNSPECIFIED: Technology
LORA: Technology
SIGFOX: Technology

class Register(_message.Message):
    __slots__ = ("gateway", "site", "agent_version")
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    gateway: str
    site: str
    agent_version: str
    def __init__(self, gateway: _Optional[str] = ..., site: _Optional[str] = ..., agent_version: _Optional[str] = ...) -> None: ...

class LeaseRequest(_message.Message):
    __slots__ = ("request_id", "device", "gateway", "technology", "airtime_us", "copies", "keeps_time", "delay_us")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    TECHNOLOGY_FIELD_NUMBER: _ClassVar[int]
    AIRTIME_US_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    KEEPS_TIME_FIELD_NUMBER: _ClassVar[int]
    DELAY_US_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    device: str
    gateway: str
    technology: Technology
    airtime_us: int
    copies: int
    keeps_time: bool
    delay_us: int
    def __init__(self, request_id: _Optional[str] = ..., device: _Optional[str] = ..., gateway: _Optional[str] = ..., technology: _Optional[_Union[Technology, str]] = ..., airtime_us: _Optional[int] = ..., copies: _Optional[int] = ..., keeps_time: _Optional[bool] = ..., delay_us: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("lease_id", "device", "subchannel_hz", "bandwidth_hz", "start_us", "end_us", "attempt", "forced", "gateway", "state")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SUBCHANNEL_HZ_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_HZ_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    device: str
    subchannel_hz: int
    bandwidth_hz: int
    start_us: int
    end_us: int
    attempt: int
    forced: bool
    gateway: str
    state: str
    def __init__(self, lease_id: _Optional[str] = ..., device: _Optional[str] = ..., subchannel_hz: _Optional[int] = ..., bandwidth_hz: _Optional[int] = ..., start_us: _Optional[int] = ..., end_us: _Optional[int] = ..., attempt: _Optional[int] = ..., forced: _Optional[bool] = ..., gateway: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "message", "retry_at_us")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Refusal.Reason]
        INVALID: _ClassVar[Refusal.Reason]
        DUTY_CYCLE: _ClassVar[Refusal.Reason]
        OVERLOADED: _ClassVar[Refusal.Reason]
        DATABASE_AWAY: _ClassVar[Refusal.Reason]
    REASON_UNSPECIFIED: Refusal.Reason
    INVALID: Refusal.Reason
    DUTY_CYCLE: Refusal.Reason
    OVERLOADED: Refusal.Reason
    DATABASE_AWAY: Refusal.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_US_FIELD_NUMBER: _ClassVar[int]
    reason: Refusal.Reason
    message: str
    retry_at_us: int
    def __init__(self, reason: _Optional[_Union[Refusal.Reason, str]] = ..., message: _Optional[str] = ..., retry_at_us: _Optional[int] = ...) -> None: ...

class LeaseAnswer(_message.Message):
    __slots__ = ("request_id", "leases", "refusal")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    refusal: Refusal
    def __init__(self, request_id: _Optional[str] = ..., leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("lease_id", "end_us")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    end_us: int
    def __init__(self, lease_id: _Optional[str] = ..., end_us: _Optional[int] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("lease_id", "reason")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    reason: str
    def __init__(self, lease_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LeaseChange(_message.Message):
    __slots__ = ("lease_id", "lease")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    lease: Lease
    def __init__(self, lease_id: _Optional[str] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ...) -> None: ...

class LeaseWarning(_message.Message):
    __slots__ = ("lease_id", "reason")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    reason: str
    def __init__(self, lease_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Uplink(_message.Message):
    __slots__ = ("device", "at_us", "subchannel_hz", "rssi_dbm", "snr_db", "size_bytes")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    SUBCHANNEL_HZ_FIELD_NUMBER: _ClassVar[int]
    RSSI_DBM_FIELD_NUMBER: _ClassVar[int]
    SNR_DB_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    at_us: int
    subchannel_hz: int
    rssi_dbm: float
    snr_db: float
    size_bytes: int
    def __init__(self, device: _Optional[str] = ..., at_us: _Optional[int] = ..., subchannel_hz: _Optional[int] = ..., rssi_dbm: _Optional[float] = ..., snr_db: _Optional[float] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("at_us", "dropped_uplinks", "kept_uplinks")
    AT_US_FIELD_NUMBER: _ClassVar[int]
    DROPPED_UPLINKS_FIELD_NUMBER: _ClassVar[int]
    KEPT_UPLINKS_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    dropped_uplinks: int
    kept_uplinks: int
    def __init__(self, at_us: _Optional[int] = ..., dropped_uplinks: _Optional[int] = ..., kept_uplinks: _Optional[int] = ...) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("register", "requests", "confirmed", "renewals", "releases", "uplinks", "heartbeat")
    REGISTER_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    RENEWALS_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    UPLINKS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    register: Register
    requests: _containers.RepeatedCompositeFieldContainer[LeaseRequest]
    confirmed: _containers.RepeatedScalarFieldContainer[str]
    renewals: _containers.RepeatedCompositeFieldContainer[RenewRequest]
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseRequest]
    uplinks: _containers.RepeatedCompositeFieldContainer[Uplink]
    heartbeat: Heartbeat
    def __init__(self, register: _Optional[_Union[Register, _Mapping]] = ..., requests: _Optional[_Iterable[_Union[LeaseRequest, _Mapping]]] = ..., confirmed: _Optional[_Iterable[str]] = ..., renewals: _Optional[_Iterable[_Union[RenewRequest, _Mapping]]] = ..., releases: _Optional[_Iterable[_Union[ReleaseRequest, _Mapping]]] = ..., uplinks: _Optional[_Iterable[_Union[Uplink, _Mapping]]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class ControllerMessage(_message.Message):
    __slots__ = ("registered_site", "answers", "changes", "heartbeat", "warnings")
    REGISTERED_SITE_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    registered_site: str
    answers: _containers.RepeatedCompositeFieldContainer[LeaseAnswer]
    changes: _containers.RepeatedCompositeFieldContainer[LeaseChange]
    heartbeat: Heartbeat
    warnings: _containers.RepeatedCompositeFieldContainer[LeaseWarning]
    def __init__(self, registered_site: _Optional[str] = ..., answers: _Optional[_Iterable[_Union[LeaseAnswer, _Mapping]]] = ..., changes: _Optional[_Iterable[_Union[LeaseChange, _Mapping]]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[LeaseWarning, _Mapping]]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SubchannelStatus(_message.Message):
    __slots__ = ("subchannel_hz", "bandwidth_hz", "age_s", "energy_dbfs", "noise_dbfs", "threshold_dbfs", "pf", "pm", "occupancy", "weight", "busy", "live_leases", "flags")
    SUBCHANNEL_HZ_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_HZ_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    ENERGY_DBFS_FIELD_NUMBER: _ClassVar[int]
    NOISE_DBFS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_DBFS_FIELD_NUMBER: _ClassVar[int]
    PF_FIELD_NUMBER: _ClassVar[int]
    PM_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    LIVE_LEASES_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    subchannel_hz: int
    bandwidth_hz: int
    age_s: float
    energy_dbfs: float
    noise_dbfs: float
    threshold_dbfs: float
    pf: float
    pm: float
    occupancy: float
    weight: float
    busy: bool
    live_leases: int
    flags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, subchannel_hz: _Optional[int] = ..., bandwidth_hz: _Optional[int] = ..., age_s: _Optional[float] = ..., energy_dbfs: _Optional[float] = ..., noise_dbfs: _Optional[float] = ..., threshold_dbfs: _Optional[float] = ..., pf: _Optional[float] = ..., pm: _Optional[float] = ..., occupancy: _Optional[float] = ..., weight: _Optional[float] = ..., busy: _Optional[bool] = ..., live_leases: _Optional[int] = ..., flags: _Optional[_Iterable[str]] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("site", "subchannels", "leases", "gateways")
    SITE_FIELD_NUMBER: _ClassVar[int]
    SUBCHANNELS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    site: str
    subchannels: _containers.RepeatedCompositeFieldContainer[SubchannelStatus]
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    gateways: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, site: _Optional[str] = ..., subchannels: _Optional[_Iterable[_Union[SubchannelStatus, _Mapping]]] = ..., leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., gateways: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class ExplainReply(_message.Message):
    __slots__ = ("decision_json",)
    DECISION_JSON_FIELD_NUMBER: _ClassVar[int]
    decision_json: str
    def __init__(self, decision_json: _Optional[str] = ...) -> None: ...
