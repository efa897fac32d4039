/** Device lifetime: resources that live no longer than the binding of their device, after the kernel's devres and its Rust `Devres<T>`. */
import { IoPgtableError } from './errors.ts'

/** A device that a driver binds and unbinds. Unbinding revokes everything that was created for it, the newest first. */
export class Device {
  readonly name: string
  #bound = false
  readonly #resources: Devres<Disposable>[] = []

  constructor(name: string) {
    this.name = name
  }

  get bound(): boolean {
    return this.#bound
  }

  /** @throws `EBUSY` when the device is bound already. */
  bind(): this {
    if (this.#bound) throw new IoPgtableError('EBUSY', 'bind', `device ${this.name} is bound already`, { value: this.name })
    this.#bound = true
    return this
  }

  /**
   * Revokes the device's resources in reverse order of their creation. All are revoked even if one fails; the first failure is thrown.
   * @throws `ENODEV` when the device is not bound.
   */
  unbind(): void {
    this.requireBound('unbind')
    this.#bound = false
    const failures: unknown[] = []
    for (let resource = this.#resources.at(-1); resource !== undefined; resource = this.#resources.at(-1)) {
      try {
        resource.revoke()
      } catch (error) {
        failures.push(error)
        resource.abandon()
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** @throws `ENODEV` when the device is not bound. */
  requireBound(op: string): void {
    if (!this.#bound) throw new IoPgtableError('ENODEV', op, `device ${this.name} is not bound`, { value: this.name })
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
  /** The device was unbound, but the resource refused to be disposed of. */
  #closed = false

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

  /** The resource. Do not keep it: after the unbind it is dead. @throws `ENODEV` once it is revoked. */
  access(): T {
    if (this.#resource === undefined || this.#closed)
      throw new IoPgtableError('ENODEV', 'access', `revoked: device ${this.device.name} was unbound`, { value: this.device.name })
    return this.#resource
  }

  /** Disposes of the resource before the device unbinds. Once revoked, it does nothing. A resource that refuses stays where it is. */
  revoke(): void {
    const resource = this.#resource
    if (resource === undefined) return
    resource[Symbol.dispose]()
    this.#resource = undefined
    this.device.forget(this)
  }

  /** For {@link Device} only: closes access to a resource that would not be disposed of. Its memory stays allocated; `revoke` tries again. */
  abandon(): void {
    this.#closed = true
    this.device.forget(this)
  }

  [Symbol.dispose](): void {
    this.revoke()
  }
}
