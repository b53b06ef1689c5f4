// Made from the code of the stream manager by tests/check_docs.py --write.

/** The options of `smproxy serve`, in camel case. */
export interface Settings {
  /** address to listen on; 0.0.0.0 is every one of IPv4, :: every one (default 127.0.0.1) */
  host?: string | number;
  /** a file to take settings from: smproxy.toml, or a red5-web.properties of the real server */
  config?: string | number;
  /** where lifecycle hooks go to, http(s):// or nats://; scope=NAME,URL for one customer scope */
  hookUri?: string | number | readonly (string | number)[];
  /** form of the hooks, once for all URLs or once for each, in their order (else envelope) */
  hookFormat?: string | number | readonly (string | number)[];
  /** secret that signs the hooks, once for all URLs or for each */
  hookSecret?: string | number | readonly (string | number)[];
  /** how long a failed delivery is retried: for 30 s, or for a day (default fast) */
  hookRetries?: string | number;
  /** do not verify the certificates of https receivers */
  hookInsecure?: boolean;
  /** further hooks: mute, of tracks that are muted; statistics, the media of a session at its end; stats, the same every --stats-interval; route, how an origin is chosen; room, of rooms: the first peer, the last, empty for --room-timeout */
  hookEvents?: string | number;
  /** seconds that a room is empty until it has stopped (default 10) */
  roomTimeout?: string | number;
  /** seconds between a session's hooks stats (default 10) */
  statsInterval?: string | number;
  /** how many hooks the journal keeps (default 100000) */
  hookKeep?: string | number;
  /** for how many days the journal keeps hooks (default 7) */
  hookKeepDays?: string | number;
  /** number of this node in hooks (default 1) */
  node?: string | number;
  /** directory of the hook journal and certificates; :memory: keeps nothing (default .smproxy) */
  dataDir?: string | number;
  /** directory of recordings (else in the data directory) */
  recordings?: string | number;
  /** how much recordings may take together, in MB or with a unit such as 20GB (default 10000) */
  recordingsLimit?: string | number;
  /** an external origin, for instance a real server */
  origin?: string | number | readonly (string | number)[];
  /** simulated nodes in this process, each with an address of its own (127.0.0.x) */
  nodes?: string | number;
  /** how long a node that is added takes to start (default 2) */
  nodeStart?: string | number;
  /** how long the sessions of a node that is taken out may last (default 60) */
  nodeSunset?: string | number;
  /** what happens to the nodes when, in TOML */
  nodeScenario?: string | number;
  /** start no origin in this process */
  noLocalOrigin?: boolean;
  /** let clients of external origins leave the socket; hooks end there */
  passSwitch?: boolean;
  /** a host that `host=` may name without being registered */
  allowHost?: string | number | readonly (string | number)[];
  /** send an unknown `host=` to a registered origin instead of refusing it */
  anyHost?: boolean;
  /** token that admin calls must bring */
  adminToken?: string | number;
  /** the customer scope of a page that sends none; `required`: it is refused; `optional`: its hooks have none (default default) */
  customerScope?: string | number;
  /** one UDP port for the media of all sessions; 0 takes a free one. Without it each session has ports of its own */
  mediaPort?: string | number;
  /** address that clients are told to send media to, instead of this machine's own */
  mediaAddress?: string | number | readonly (string | number)[];
  /** keep the packets of every session, and write them to this directory when it ends, for Wireshark */
  capture?: string | number;
  /** also take media over TCP, on the port of the pages, from clients whose UDP is blocked (ICE-TCP) */
  mediaTcp?: boolean;
  /** run a TURN server for tests (coturn, if installed), and name it to clients */
  turn?: boolean;
  /** seconds of silence until a session is `reconnect` (default 2) */
  mediaGap?: string | number;
  /** seconds of silence until a peer is gone (default 5) */
  mediaTimeout?: string | number;
  /** seconds in which a lost publisher may come back (default 0) */
  reconnectWindow?: string | number;
  /** whether a publisher may take a name that is live: never, always, or after so many seconds of it (default never) */
  takeover?: string | number;
  /** what a WHEP client gets when nobody publishes: 409, 404, or an answer and the stream when it comes (default conflict) */
  whepOffline?: string | number;
  /** a STUN or TURN server that WHIP and WHEP clients are told of, for TURN as turn:HOST:PORT,USER,PASSWORD */
  iceServer?: string | number | readonly (string | number)[];
  /** ask a back end who may publish and subscribe: POST /validateCredentials and /invalidateCredentials below this */
  authUri?: string | number;
  /** decide who may publish and subscribe by a JSON Web Token, a digest token, or a file of users and passwords */
  auth?: string | number;
  /** let a client in at once, and end its session when the verdict is no */
  authLazy?: boolean;
  /** what the back end is sent: the vendor's five keys, or also action, transport, address, origin and parameters (default vendor) */
  authFormat?: string | number;
  /** issuer that a JSON Web Token must have */
  authIssuer?: string | number;
  /** minutes that a JSON Web Token may still be valid for; one for longer is refused */
  authTtl?: string | number;
  /** whether a connection may ask for faults with `simulate=` (default on) */
  simulate?: string | number;
  /** a fault that is on from the start, as in `simulate=`; also id, customerScope, role, app, count, ttl */
  fault?: string | number | readonly (string | number)[];
  /** makes session numbers, faults, and uuids but for the time in them, the same in every run */
  seed?: string | number;
  /** certificate chain (PEM) for https and wss */
  tlsCert?: string | number;
  /** private key (PEM) of the certificate */
  tlsKey?: string | number;
  /** make an authority and a certificate for localhost, once */
  tlsSelfSigned?: boolean;
  /** another name or address for the certificate that is made */
  tlsHost?: string | number | readonly (string | number)[];
  /** port of https and wss (default 5443) */
  tlsPort?: string | number | readonly (string | number)[];
  /** a reverse proxy in front, whose X-Forwarded-For, -Proto and -Host tell who the client is */
  trustProxy?: string | number | readonly (string | number)[];
  /** a directory of your own pages, served at PATH, else at /webrtcexamples/ */
  pages?: string | number | readonly (string | number)[];
  /** join the cluster whose registry is this NATS server */
  cluster?: string | number;
  /** what this node does in its cluster (default manager,origin) */
  roles?: string | number;
  /** name of this node in its cluster (else the machine's name) */
  nodeId?: string | number;
  /** address at which the other nodes reach this one (else --host) */
  advertise?: string | number;
  /** region of this node in its cluster (default local) (default local) */
  region?: string | number;
  /** seconds until a node that is silent is dead (default 9) */
  clusterTtl?: string | number;
  /** seconds for which a stream of another node stays after its last subscriber here (default 10) (default 10) */
  pullLinger?: string | number;
  /** return when it is ready, and leave it running until `smproxy stop` */
  detach?: boolean;
  /** a file with its process number (with --detach in the data directory) */
  pidFile?: string | number;
  /** where log lines go instead of stderr; with --detach all output */
  logFile?: string | number;
  /** the vendor's red5pro-sdk.min.js, for /publish to use it */
  sdkFile?: string | number;
  /** least level logged (default info) */
  logLevel?: string | number;
  /** form of the log lines on stderr (default text) */
  logFormat?: string | number;
  /** send OpenTelemetry traces to this OTLP receiver, for instance http://localhost:4318 */
  otelEndpoint?: string | number;
}
