// Every limit of a job and of the HTTP surface, with its unit and its reason, in one place. The expression's own
// limits stand beside the parser (shared/math/parse.ts). `GET /v1/system` publishes this table.

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/**
 * Largest JSON or CSV body. It is parsed whole, in memory and in one go: numbers of full length hold everybody else up
 * for a tenth of a second. Larger arrays come as .npy, which is streamed.
 */
export const JSON_BODY_BYTES_MAX = 4 * MIB;
/** Nesting of a JSON document: a job has six levels, brackets that only open would take 32 times their size. */
export const JSON_DEPTH_MAX = 32;
/** Names in a JSON document, at all levels: an expression's 1,000 nodes have fewer operands than that, each with two. */
export const JSON_NAMES_MAX = 4096;
/** Commas in a JSON document: 4 MiB of them are two million numbers of one digit, which take a fifth of a second. */
export const JSON_COMMAS_MAX = 500_000;
/** Lists and objects in a JSON document: each costs the parser as much as a line of numbers does. */
export const JSON_LEVELS_MAX = 250_000;
/** Largest array, as data bytes: what one upload may put into the store. */
export const ARRAY_BYTES_MAX = 64 * GIB;
/** Largest side of an array: products of three sides stay exact in a float64 only in BigInt, but each side is exact. */
export const ARRAY_SIDE_MAX = 2 ** 32;
/** Largest number of dimensions: a matrix, or a stack of them. */
export const ARRAY_RANK_MAX = 3;
/** Parts of a multipart body besides `job`: one for each name an expression can reasonably hold. */
export const MULTIPART_PARTS_MAX = 64;
/** Inline arrays up to this many data bytes in all live inside the spec, which saves a small job its own objects. */
export const INLINE_BYTES_MAX = 64 * KIB;
/** How long an uploaded array is kept after its last upload. */
export const ARRAY_RETENTION_SECONDS = 30 * 24 * 3600;
/** An array stays this much longer unseen, so that whoever is just submitting a job over it does not lose it. */
export const ARRAY_GRACE_SECONDS = 24 * 3600;
/** A job whose result has expired can be read this much longer: its result answers 410 until then. */
export const EXPIRED_JOB_SECONDS = 7 * 24 * 3600;
/** New work is refused where less than this part of the store's volume would stay free for work accepted before … */
export const STORE_RESERVE_SHARE = 0.05;
/** … which on a large volume need not be more than this. */
export const STORE_RESERVE_BYTES_MAX = 4 * GIB;
/** What crashed writers left: older than the slowest upload takes. */
export const LEFTOVER_AGE_SECONDS = 24 * 3600;

/** Members of a stack of directions or cotangents: bounds the per-member bookkeeping of a block. */
export const STACK_MEMBERS_MAX = 1_000_000;
/** Largest result: the sum of its blocks. */
export const RESULT_BYTES_MAX = 1024 * GIB;
/** Largest job: about ten days of one core, far above any sane interactive use and below a runaway bill. */
export const JOB_FLOPS_MAX = 10n ** 16n;
/** Blocks of one job: the largest result in blocks of the usual size. Each is a line in the manifest, of about 150 bytes. */
export const JOB_BLOCKS_MAX = 16_384;
/** Blocks of one job that are in the queue at a time; the others follow when these are done. */
export const QUEUED_BLOCKS_MAX = 1000;
/** A block of about this much arithmetic takes a second or two on one core, so that a drain never waits long. */
export const BLOCK_FLOPS_TARGET = 4n * 10n ** 10n;
/** A block of about this much output is stored in well under a second and streamed without a pause. */
export const BLOCK_BYTES_TARGET = 64 * MIB;
/** The working set of one block is at most this part of a worker's memory: the rest is packing scratch and the next block. */
export const BLOCK_MEMORY_SHARE = 0.75;
/** A 32-bit shared memory ends at 4 GiB, so no block may need more than that part of it; a machine with more runs more workers. */
export const WORKER_MEMORY_BYTES_MAX = 4 * GIB;
/** What a worker is taken to have where nobody says: half of a 4 GiB machine. */
export const WORKER_MEMORY_BYTES_DEFAULT = 2 * GIB;
/** Digests cover pieces of this size, so that reading a range verifies only what it touches. */
export const RESULT_CHUNK_BYTES = 4 * MIB;
/** Rounds of Freivalds' test: what escapes one by chance, with probability 1/2, escapes so many with 10⁻¹⁰. */
export const VERIFICATION_ROUNDS_MAX = 32;

/** Unfinished jobs of one tenant, unless its key says otherwise: an index and a work-list of this length stay quick. */
export const TENANT_JOBS_MAX = 100_000;
/** Work of all tenants that may wait: a hundred of the largest jobs. */
export const SYSTEM_BACKLOG_FLOPS_MAX = 100n * JOB_FLOPS_MAX;
/** Where a job has waited for this long, more of them would only wait longer. */
export const QUEUE_AGE_SECONDS_MAX = 24 * 3600;
/** A gateway whose event loop is behind by this much on average takes no new work until it has caught up. */
export const EVENT_LOOP_DELAY_MS_MAX = 500;

/** A job of at most this much arithmetic takes about a millisecond: a slice of them never holds up anybody. */
export const SMALL_JOB_FLOPS_MAX = 10n ** 6n;
/** Working set of a small job: a whole slice of them stays a small part of the least memory a worker may have. */
export const SMALL_JOB_BYTES_MAX = 512 * KIB;
/** Result of a small job: a slice of them is a few MiB at most, held whole while it is written. */
export const SMALL_RESULT_BYTES_MAX = 64 * KIB;
/** Lines of a batch whose small jobs run as one queue entry and end in one object: fsyncs and round trips for one. */
export const SLICE_LINES = 64;

/** Jobs in a batch: one index of 800 KB, read in one go. */
export const BATCH_LINES_MAX = 100_000;
/** One line of a batch. Its inline data live inside its spec; larger arrays are uploaded and named. */
export const BATCH_LINE_BYTES_MAX = MIB;
/** All lines of a batch. It is streamed to the store, so this bounds disk, not memory. */
export const BATCH_BYTES_MAX = GIB;
export const CUSTOM_ID_LENGTH_MAX = 128;
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

export const LABELS_MAX = 16;
export const LABEL_LENGTH_MAX = 64;
export const PRIORITY_MAX = 9;
export const EXPIRES_IN_SECONDS_MIN = 60;
export const EXPIRES_IN_SECONDS_MAX = 30 * 24 * 3600;
export const EXPIRES_IN_SECONDS_DEFAULT = 24 * 3600;
/** `Prefer: wait` holds a connection at most this long. */
export const WAIT_SECONDS_MAX = 60;
/** Jobs or arrays on one page of a listing. */
export const PAGE_SIZE_MAX = 500;
export const PAGE_SIZE_DEFAULT = 50;
