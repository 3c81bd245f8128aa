import { HoldfastError } from '../base/errors.js'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Parses "host:port" or "[v6]:port". `name` is the option it came from. */
export function parseAddress(name: string, address: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    throw new HoldfastError('INVALID_ARGUMENT', `${name}: expected host:port, got ${JSON.stringify(address)}`)
  }
  return { host, port }
}

/** An address that others dial: port 0 says nothing to them. */
export function parseDialled(name: string, address: string): HostPort {
  const parsed = parseAddress(name, address)
  if (parsed.port > 0) return parsed
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${name}: expected a port from 1 to 65535, got ${JSON.stringify(address)}`,
  )
}

/** A listener on all addresses of the machine has none that others could dial. */
export function refuseUnnamed(name: string, { host, port }: HostPort): void {
  if (host !== '0.0.0.0' && !/^[0:]+$/.test(host)) return
  const address = formatAddress({ host, port })
  const option = name === 'listen' ? 'advertise' : 'peer-advertise'
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${name} ${address} is no address that others can dial: say with --${option} host:port under which they reach this node`,
  )
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Until there is TLS, whoever reaches a port may read and write everything: so only this machine may, unless told otherwise. */
export function refuseOpenListener(name: string, { host, port }: HostPort, insecure: boolean): void {
  const isLoopback = host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
  if (isLoopback || insecure) return
  throw new HoldfastError(
    'NOT_PERMITTED',
    `${name} ${formatAddress({ host, port })} is outside loopback: connections are neither encrypted nor authenticated, ` +
      'so anyone who reaches it can read and change everything. Give --insecure if the network itself is trusted.',
  )
}
