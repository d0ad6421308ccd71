declare const brand: unique symbol;

/** A value that only its parser hands out: what has this type has been checked. */
export type Brand<T, Name extends string> = T & {readonly [brand]: Name};
