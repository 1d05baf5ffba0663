import { getJson, send } from "./http";
import type { Account } from "./types";

/** Exchanges a one-time code for a session cookie; the hub refuses a code that was used or has expired. */
export async function signIn(code: string): Promise<Account> {
  const { account } = await getJson<{ account: Account }>(["sessions"], { method: "POST", body: { code } });
  return account;
}

export async function signOut(): Promise<void> {
  await send(["session"], { method: "DELETE" });
}
