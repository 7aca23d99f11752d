/** An input that the model cannot take; anything else that is thrown is a
    mistake in the port. */
export class Refusal extends Error {}

export function refuse(reason) {
  throw new Refusal(reason);
}
