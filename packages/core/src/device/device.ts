/** Device lifetime: resources that live no longer than the binding of their device, after the kernel's devres and its Rust `Devres<T>`. */
import { IoPgtableError } from '../errors.ts'

/** A device that a driver binds and unbinds. Unbinding revokes everything that was created for it, the newest first. */
export class Device {
  readonly name: string
  #bound = false
  #draining = false
  readonly #resources: Devres<Disposable>[] = []

  constructor(name: string) {
    this.name = name
  }

  get bound(): boolean {
    return this.#bound
  }

  /** Whether an unbind waits for a resource that is in use: see {@link Devres.acquire}. */
  get unbinding(): boolean {
    return !this.#bound && this.#resources.length > 0
  }

  /** @throws `EBUSY` when the device is bound already, or its last unbind still waits. */
  bind(): this {
    if (this.#bound || this.unbinding)
      throw new IoPgtableError('EBUSY', 'bind', `device ${this.name} is ${this.#bound ? 'bound already' : 'not unbound yet'}`, {
        value: this.name,
      })
    this.#bound = true
    return this
  }

  /**
   * Ends access to all of the device's resources, then disposes of them in reverse order of their creation. One that is in use holds up
   * itself and all that are older, since it may need them: they go when it is released. All are revoked even if one fails; the first failure
   * is thrown, by the release if that was waited for.
   * @throws `ENODEV` when the device is not bound.
   */
  unbind(): void {
    this.requireBound('unbind')
    this.#bound = false
    for (const resource of this.#resources) resource.close()
    this.drain()
  }

  /** @throws `ENODEV` when the device is not bound. */
  requireBound(op: string): void {
    if (!this.#bound) throw new IoPgtableError('ENODEV', op, `device ${this.name} is not bound`, { value: this.name })
  }

  /** For {@link Devres} only: goes on with an unbind, up to a resource that is in use. */
  drain(): void {
    // one that is being disposed of may release what is older: the loop comes to that by itself
    if (this.#bound || this.#draining) return
    this.#draining = true
    const failures: unknown[] = []
    for (let resource = this.#resources.at(-1); resource !== undefined && !resource.inUse; resource = this.#resources.at(-1)) {
      try {
        resource.revoke()
      } catch (error) {
        failures.push(error)
        this.forget(resource)
      }
    }
    this.#draining = false
    if (failures.length > 0) throw failures[0]
  }

  /** For {@link Devres} only. */
  remember(resource: Devres<Disposable>): void {
    this.#resources.push(resource)
  }

  /** For {@link Devres} only. */
  forget(resource: Devres<Disposable>): void {
    const i = this.#resources.lastIndexOf(resource)
    if (i >= 0) this.#resources.splice(i, 1)
  }
}

/** A resource that is revoked when its device unbinds. */
export class Devres<T extends Disposable> {
  readonly device: Device
  #resource: T | undefined
  /** Nobody gets the resource any more, although it may still be there: in use, or it refused to be disposed of. */
  #closed = false
  /** Guards that are out. */
  #uses = 0

  /** @throws `ENODEV` when the device is not bound. */
  constructor(device: Device, resource: T) {
    device.requireBound('Devres')
    this.device = device
    this.#resource = resource
    device.remember(this)
  }

  get revoked(): boolean {
    return this.#resource === undefined || this.#closed
  }

  /** Whether a guard is out. */
  get inUse(): boolean {
    return this.#uses > 0
  }

  /** The resource. Do not keep it: after the unbind it is dead. @throws `ENODEV` once it is revoked. */
  access(): T {
    return this.#open('access')
  }

  /**
   * The resource for as long as a job needs it: an unbind meanwhile revokes it for everybody else, and disposes of it when the last guard is
   * released. @throws `ENODEV` once it is revoked.
   */
  acquire(): DevresGuard<T> {
    const resource = this.#open('acquire')
    this.#uses++
    return new DevresGuard(resource, this.device.name, () => this.#released())
  }

  /**
   * Disposes of the resource before the device unbinds; when it is in use, by its last release. Once revoked, it does nothing. A resource
   * that refuses stays where it is.
   */
  revoke(): void {
    const resource = this.#resource
    if (resource === undefined) return
    if (this.#uses > 0) {
      this.#closed = true
      return
    }
    resource[Symbol.dispose]()
    this.#resource = undefined
    this.device.forget(this)
  }

  /** For {@link Device} only: ends access. A resource that refuses to go keeps its memory; `revoke` tries again. */
  close(): void {
    this.#closed = true
  }

  [Symbol.dispose](): void {
    this.revoke()
  }

  #open(op: string): T {
    if (this.#resource === undefined || this.#closed) throw revoked(op, this.device.name)
    return this.#resource
  }

  /** A guard was released: what waited for the last one is done. */
  #released(): void {
    this.#uses--
    if (this.#uses > 0 || !this.#closed) return
    if (this.device.bound) this.revoke()
    else this.device.drain()
  }
}

/** The right to use a revocable resource until it is released: see {@link Devres.acquire}. */
export class DevresGuard<T extends Disposable> implements Disposable {
  readonly #device: string
  #resource: T | undefined
  readonly #released: () => void

  /** For {@link Devres} only. */
  constructor(resource: T, device: string, released: () => void) {
    this.#resource = resource
    this.#device = device
    this.#released = released
  }

  /** @throws `ENODEV` after the release. */
  get resource(): T {
    if (this.#resource === undefined) throw revoked('resource', this.#device)
    return this.#resource
  }

  /** Ends the use; again, it does nothing. What was revoked meanwhile is disposed of now, and a failure of that is thrown. */
  release(): void {
    if (this.#resource === undefined) return
    this.#resource = undefined
    this.#released()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function revoked(op: string, device: string): IoPgtableError {
  return new IoPgtableError('ENODEV', op, `revoked or released: it belongs to device ${device}`, { value: device })
}
