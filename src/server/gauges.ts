import type { Lag, StoreFigures } from '../store/figures.js'
import type { ClientFigures, ClientServer } from '../transport/client-server.js'
import type { PeerServer } from '../transport/peer-server.js'
import type { Readiness } from './health.js'
import type { SampledGauge } from './metrics.js'
import type { OpenNode } from './node.js'

/** What the gauges look at; null as long as it is not open. */
export interface Watched {
  readonly open: OpenNode | null
  readonly clients: ClientServer | null
  readonly peerServer: PeerServer | null
  ready(): Readiness
}

/** Gauges over what the node holds at the moment somebody looks; 0 where it is not open yet. */
export function nodeGauges(watched: Watched): Readonly<Record<string, SampledGauge>> {
  const figures = <Value>(value: (figures: StoreFigures) => Value, closed: Value): Value => {
    const { open } = watched
    return open === null ? closed : value(open.store.figures())
  }
  const store = (help: string, value: (figures: StoreFigures) => number): SampledGauge => ({
    help,
    sample: () => figures(value, 0),
  })
  const lag = (help: string, value: (figures: StoreFigures) => Lag): SampledGauge => ({
    help,
    label: 'over_ranges',
    sample: () => ({ ...figures(value, { sum: 0, max: 0 }) }),
  })
  const client = (help: string, value: (figures: ClientFigures) => number): SampledGauge => ({
    help,
    sample: () => {
      const { clients } = watched
      return clients === null ? 0 : value(clients.figures())
    },
  })
  return {
    ready: { help: '1: /readyz says yes', sample: () => (watched.ready().ready ? 1 : 0) },
    replicas: store('Replicas on this node', ({ replicas }) => replicas),
    leaders: store('Ranges that this node leads', ({ leaders }) => leaders),
    ranges_without_leader: store('Ranges here whose leader is not known', ({ leaderless }) => leaderless.length),
    queue_proposals: store('Writes waiting or on their way through the log', ({ proposals }) => proposals),
    queue_proposal_bytes: store('Bytes of these writes', ({ proposalBytes }) => proposalBytes),
    queue_reads: store('Reads waiting to be confirmed or applied', ({ reads }) => reads),
    queue_cold_reads: store('Reads waiting for the disk', ({ coldReads }) => coldReads),
    queue_frames: store('Frames of other nodes not looked at yet', ({ frames }) => frames),
    disk_full: store('1: no room for writes', ({ diskFull }) => (diskFull ? 1 : 0)),
    overlay_bytes: store('Applied and not yet in the state database', ({ overlayBytes }) => overlayBytes),
    log_bytes: store('Size of all log segments', ({ logBytes }) => logBytes),
    uncommitted_entries: lag('Entries in the log not known to be committed', ({ uncommitted }) => uncommitted),
    unapplied_entries: lag('Committed entries not applied yet', ({ unapplied }) => unapplied),
    snapshots_open: {
      help: 'Snapshots of replicas on their way in or out',
      label: 'direction',
      sample: () => ({ ...figures(({ snapshots }) => snapshots, { in: 0, out: 0 }) }),
    },
    client_connections: client('Open connections of clients', ({ connections }) => connections),
    client_requests: client('Requests without an answer', ({ requests }) => requests),
    client_request_bytes: client('Bytes of these requests', ({ requestBytes }) => requestBytes),
    client_reply_bytes: client('Bytes of answers that clients have not taken yet', ({ replyBytes }) => replyBytes),
    peer_connections: {
      help: 'Connections to and from other nodes',
      label: 'direction',
      sample: () => ({
        out: watched.open?.peers.figures().connections ?? 0,
        in: watched.peerServer?.connections ?? 0,
      }),
    },
    peer_unsent_bytes: {
      help: 'Bytes given to connections to other nodes that have not left yet',
      sample: () => watched.open?.peers.figures().unsentBytes ?? 0,
    },
  }
}
