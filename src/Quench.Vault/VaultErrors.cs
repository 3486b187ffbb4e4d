using System.Globalization;
using Quench.Blocks;

namespace Quench.Vault;

/// <summary>Every failure that leaves the vault's door, with its code, its words and its next step in one place.</summary>
internal static class VaultErrors
{
    private const int NoRepository = 10;
    private const int WrongPasswordExit = 12;

    internal static QuenchException NotAVault(string location) => new(
        "VAULT-001", $"{location} is not a vault", "check the path, or make a vault there with quench init") { ExitCode = NoRepository };

    internal static QuenchException WrongPassword(string location, int damagedSlots) => new(
        "VAULT-002",
        damagedSlots == 0
            ? $"wrong password for the vault in {location}"
            : $"the password opens no key slot of the vault in {location}, and {damagedSlots} of its slots are damaged",
        "try again, or use the recovery code that was shown when the vault was made") { ExitCode = WrongPasswordExit };

    internal static QuenchException NewerVersion(string location, int major, int ours) => new(
        "VAULT-003",
        string.Create(CultureInfo.InvariantCulture, $"the vault in {location} has format version {major}; this program knows version {ours}"),
        "use a newer Quench");

    internal static QuenchException UnknownFeatures(string location, ulong features, string purpose) => new(
        "VAULT-004",
        string.Create(CultureInfo.InvariantCulture, $"the vault in {location} uses features that this program does not know and must know for {purpose} it: {features:x}"),
        "use a newer Quench");

    internal static QuenchException DamagedVault(string location, string what) => new(
        "VAULT-005", $"the vault in {location} is damaged: {what}", "bring back this object from a copy of the vault; all others are untouched");

    internal static QuenchException SlotTooCostly(string location, long mebibytes) => new(
        "VAULT-006",
        string.Create(CultureInfo.InvariantCulture, $"a key slot of the vault in {location} asks for {mebibytes} MiB of memory or for more passes than this machine should give; nothing was tried"),
        "open the vault on a larger machine, or with the recovery code");

    internal static QuenchException AlreadyAVault(string location) => new(
        "VAULT-011", $"{location} is a vault already", "use it, or choose another directory");

    internal static QuenchException NotEmpty(string location, string example) => new(
        "VAULT-012", $"{location} holds other files, {example} for one; a vault is made in an empty place only", "choose an empty directory");

    internal static QuenchException RemainsOfAVault(string location) => new(
        "VAULT-012",
        $"{location} holds key slots but no file named format: either making a vault was interrupted here, or a vault has lost that file",
        "if no recovery point was ever made here, empty the directory and try again; otherwise bring the file format back from a copy");

    internal static QuenchException BadSettings(string what, string effect) => new("VAULT-013", $"{effect}: {what}", "choose another value");

    internal static QuenchException AmbiguousPoint(string prefix, int count) => new(
        "VAULT-021", string.Create(CultureInfo.InvariantCulture, $"{count} recovery points begin with {prefix}"), "give more digits");

    internal static QuenchException DamagedPoint(string id, string what) => new(
        "VAULT-022", $"recovery point {id} can't be used: {what}", "use another point; each stands alone. quench verify names all damage");

    internal static QuenchException Revoked(Guid session) => new(
        "VAULT-031",
        $"the session {session:N} was revoked by a garbage collection before it could commit; no recovery point was made",
        "run the backup again; what it stored and is still there will be used") { CanRetry = true };

    internal static QuenchException BadPack(string pack, string what) => new(
        "VAULT-032",
        $"the pack {pack} did not read back from memory as it was built ({what}); it was not stored and the backup has ended",
        "test this machine's memory; the vault is as it was") { CanRetry = true };

    internal static QuenchException BadChunk(ChunkId id) => new(
        "VAULT-032",
        $"chunk {id} did not read back from memory as it was sealed; it was not stored and the backup has ended",
        "test this machine's memory; the vault is as it was") { CanRetry = true };

    internal static QuenchException NotOurCommit(Guid session) => new(
        "VAULT-033",
        $"the commit key of session {session:N} exists and is not this session's; no recovery point was made",
        "run the backup again; if it happens twice, verify the vault");

    internal static QuenchException DamagedCollection(string name) => new(
        "VAULT-034", $"{name} is damaged, so what a garbage collection condemned is not known; nothing was written", "verify the vault");

    internal static QuenchException SameVault(Guid vault) => new(
        "VAULT-051", $"source and target of the copy are the same vault ({vault:N})", "name another vault with --to") { Effect = "nothing was written" };

    internal static QuenchException UnreadableChunk(string chunk, string volume, long offset, string why) => new(
        "VAULT-041",
        string.Create(CultureInfo.InvariantCulture, $"chunk {chunk} of volume {volume}, at offset {offset}, can't be read: {why}"),
        "try an older or newer recovery point: it may not need this chunk. quench verify names all damage");

    internal static QuenchException WrongKeyFile(string location, int damagedSlots) => new(
        "VAULT-002",
        damagedSlots == 0
            ? $"the key file opens no key slot of the vault in {location}"
            : $"the key file opens no key slot of the vault in {location}, and {damagedSlots} of its slots are damaged",
        "check that it is this vault's key file, or use the password or the recovery code") { ExitCode = WrongPasswordExit };

    internal static QuenchException LastSlot(string location, string id) => new(
        "VAULT-064",
        $"key slot {id} is the last way into the vault in {location} that is sound; it was not removed",
        "add another first: quench vault key add");

    internal static QuenchException SlotNotProved(string location, string id) => new(
        "VAULT-065",
        $"the new key slot {id} did not open the vault in {location} when it was read back; no other slot was touched",
        "check the medium (quench verify) and this machine's memory, then try again") { CanRetry = true };

    internal static QuenchException NoSuchSlot(string location, string prefix, int count) => new(
        "VAULT-066",
        count == 0
            ? $"the vault in {location} has no key slot {prefix}"
            : string.Create(CultureInfo.InvariantCulture, $"{count} key slots of the vault in {location} begin with {prefix}"),
        count == 0 ? "see quench vault key list" : "give more digits");

    internal static QuenchException NotAPassword(string location, string what) => new(
        "VAULT-067", $"which password of the vault in {location} is to be changed is not clear: {what}", "name its slot; see quench vault key list");

    internal static QuenchException KeyFileNotMade(string path, string why, Exception? cause = null) => new(
        "VAULT-068", $"the key file {path} was not made: {why}", "choose another path", cause) { Effect = "no key was added" };

    internal static QuenchException KeyFileUnreadable(string path, string why, Exception? cause = null) => new(
        "VAULT-069", $"the key file {path} can't be used: {why}", "check the path, its permissions and that it is a file made by --new-key-file", cause)
    {
        ExitCode = WrongPasswordExit,
    };

    internal const string IndexCacheCode = "VAULT-091";

    internal static QuenchException DamagedIndexCache(Exception cause) => new(
        IndexCacheCode,
        $"a part of the local index cache can't be read: {cause.Message}; which chunk is where could not be told",
        "run it again: the cache is made anew from the vault. If it happens twice, look at the disk that holds the cache, or choose another with QUENCH_CACHE_DIR",
        cause) { CanRetry = true, Effect = "the vault is as it was" };

    internal static QuenchException CannotHeal(string location) => new(
        "VAULT-081", $"the store {location} can't put a healed object in a damaged one's place", "repair the vault where it is a local directory; nothing was changed");

    internal static QuenchException NoSuchPoint(string prefix) => new(
        "VAULT-023", $"the vault holds no recovery point {prefix}", "see `quench list`");

    internal static QuenchException InDoubt(IReadOnlyList<string> doubts) => new(
        "VAULT-071",
        $"nothing was deleted: what the recovery points need is in doubt, because {doubts[0]}" + (doubts.Count > 1 ? $", and {doubts.Count - 1} more" : ""),
        "quench verify names all damage; repair it, or forget the recovery points that it hurts, then prune again");

    internal static QuenchException UntrustedClock(string what) => new(
        "VAULT-072", $"nothing was deleted: {what}", "set this machine's clock; if it is right, say --trust-clock");

    internal static QuenchException BrokenCollection(string name) => new(
        "VAULT-073",
        $"nothing was deleted: {name} is damaged, so what an unfinished garbage collection was about to delete is not known",
        "bring this object back from a copy of the vault; backups and restores are not affected");

    internal static QuenchException UnwiseForget(string what) => new(
        "VAULT-074", $"nothing was forgotten: {what}", "look at the plan with --dry-run; if it is meant, give the consent that it asks for");

    internal static string FutureWords(IReadOnlyCollection<RecoveryPoint> points, DateTimeOffset now) => string.Create(
        CultureInfo.InvariantCulture,
        $"{points.Count} recovery {(points.Count == 1 ? "point is" : "points are")} dated later than now ({now:u}), {points.First().ShortId} of {points.First().Instant:u} for one");

    internal static string ClockWords((DateTimeOffset When, string What) seen, DateTimeOffset now) => string.Create(
        CultureInfo.InvariantCulture, $"the clock shows {now:u}, and {seen.What} was written at {seen.When:u}");
}
