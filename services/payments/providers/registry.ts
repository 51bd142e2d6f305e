import type { Config } from "../../../lib/config.ts";
import { PaymentProviderUnavailable } from "../../../lib/errors.ts";
import type { Database } from "../../../lib/stores/database.ts";
import type { PaymentProvider } from "./provider.ts";
import { Sandbox } from "./sandbox.ts";
import { tracedProvider } from "./traced.ts";

/** The providers that this shop is configured for. */
export class Providers {
  /** Charges what is paid now. */
  readonly active: PaymentProvider;
  constructor(active: PaymentProvider) {
    this.active = tracedProvider(active);
  }

  find(name: string): PaymentProvider | undefined {
    return this.active.name === name ? this.active : undefined;
  }

  /** The provider of an older payment. @throws PaymentProviderUnavailable if the shop isn't configured for it any more */
  get(name: string): PaymentProvider {
    const provider = this.find(name);
    if (!provider) throw new PaymentProviderUnavailable({ retry_after: 60 });
    return provider;
  }
}

/** Makes the provider that `PAYMENT_PROVIDER` names. */
export function providersOf(config: Config, db: Database): Providers {
  switch (config.PAYMENT_PROVIDER) {
    case "sandbox":
      return new Providers(new Sandbox(db, config.SANDBOX_WEBHOOK_SECRET));
  }
}
