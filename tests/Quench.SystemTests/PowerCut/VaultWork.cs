using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.SystemTests.PowerCut;

/// <summary>What a vault owes: a point with this content, from one moment on, and perhaps no longer than to another.</summary>
internal sealed class Promise(string vault, DateTimeOffset instant, byte[] content)
{
    internal string Vault => vault;

    /// <summary>Tells the point: no two of one vault have the same.</summary>
    internal DateTimeOffset Instant => instant;

    internal byte[] Content => content;

    /// <summary>The position of the log when it was acknowledged; null: never.</summary>
    internal int? From { get; set; }

    /// <summary>The position of the log when somebody began to forget it; null: nobody has.</summary>
    internal int? Until { get; set; }

    internal bool IsDueAt(int position) => From <= position && !(Until <= position);
}

/// <summary>
/// Work on vaults of a disk that is being recorded, with a note of what was promised when. A new kind of work is one line in <see cref="Kinds"/>.
/// </summary>
/// <param name="folder">The mounted disk.</param>
/// <param name="position">The position of the log now.</param>
/// <param name="store">Makes the store in a folder: a mutant's, or none.</param>
internal sealed class VaultWork(string folder, Func<int> position, Func<string, IObjectStore> store)
{
    internal const string Main = "vault";
    internal const string Second = "second";
    internal const string Rotting = "rotting";
    private const int ChunkSize = 16 * 1024;
    private const int Chunks = 12;
    private const int Kept = 2; // points that forgetting leaves
    private const int RotAt = 3000; // in a pack: behind its header, inside its first chunk

    internal static readonly IReadOnlyDictionary<string, Func<VaultWork, Task>> Kinds = new Dictionary<string, Func<VaultWork, Task>>
    {
        ["backup"] = work => work.BackUpAsync(),
        ["copy"] = work => work.CopyAsync(),
        ["forget"] = work => work.ForgetAsync(),
        ["prune"] = work => work.PruneAsync(),
        ["repair"] = work => work.RotAndRepairAsync(),
    };

    private static readonly byte[] s_password = "a password"u8.ToArray();
    private static readonly KdfCost s_cheap = new(64, 1, 1);

    private readonly byte[] _content = new byte[ChunkSize * Chunks];
    private readonly List<(int From, int Until)> _rotten = []; // positions of the log between which the third vault may be damaged
    private DateTimeOffset _instant = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    internal List<Promise> Promises { get; } = [];

    /// <summary>The position of the log when all vaults were there.</summary>
    internal int MadeAt { get; private set; } = int.MaxValue;

    internal static Task<BackupVault> OpenAsync(IObjectStore store) => BackupVault.OpenAsync(store, s_password, TimeProvider.System, CancellationToken.None);

    internal async Task MakeVaultsAsync()
    {
        foreach (string name in (string[])[Main, Second, Rotting])
        {
            VaultSettings settings = new() { ChunkSize = ChunkSize, Kdf = s_cheap, Parity = name == Rotting ? new ParitySettings(4, 1, 4096) : default };
            CreatedVault made = await BackupVault.CreateAsync(store(Path.Combine(folder, name)), settings, s_password, TimeProvider.System, s_cheap, CancellationToken.None);
            await made.Vault.DisposeAsync();
        }

        MadeAt = position();
        await BackUpAsync(Rotting);
    }

    /// <summary>Whether the third vault may be damaged on a disk whose power went at a position: a repair must make it whole then.</summary>
    internal bool MayBeRotten(int at) => _rotten.Any(span => span.From <= at && at < span.Until);

    /// <summary>Backs up what has changed a little since the last time.</summary>
    internal Task BackUpAsync() => BackUpAsync(Main);

    private async Task BackUpAsync(string name)
    {
        _instant += TimeSpan.FromMinutes(1);
        Random random = new(_instant.GetHashCode());
        for (int change = 0; change < 3; change++)
        {
            random.NextBytes(_content.AsSpan(random.Next(Chunks) * ChunkSize, ChunkSize));
        }

        Promise promise = new(name, _instant, [.. _content]);
        Promises.Add(promise);
        await using BackupVault vault = await OpenAsync(store(Path.Combine(folder, name)));
        await BackUpAsync(vault, _content, _instant);
        promise.From = position();
    }

    /// <summary>Copies the newest point into the second vault.</summary>
    internal async Task CopyAsync()
    {
        await using BackupVault from = await OpenAsync(store(Path.Combine(folder, Main)));
        await using BackupVault to = await OpenAsync(store(Path.Combine(folder, Second)));
        RecoveryPoint? latest = await from.FindPointAsync("latest", CancellationToken.None);
        if (latest is null || Find(Second, latest.Instant) is not null)
        {
            return; // it has been copied, and nothing is promised anew
        }

        Promise promise = new(Second, latest.Instant, Find(Main, latest.Instant)!.Content);
        Promises.Add(promise);
        await new PointCopier(from, to, null).CopyAsync(latest, CancellationToken.None);
        promise.From = position();
    }

    /// <summary>Forgets all points of the first vault but the newest ones.</summary>
    private async Task ForgetAsync()
    {
        await using BackupVault vault = await OpenAsync(store(Path.Combine(folder, Main)));
        RecoveryPoint[] old = [.. (await vault.ListPointsAsync(CancellationToken.None)).SkipLast(Kept)];
        if (old.Length == 0)
        {
            return;
        }

        foreach (RecoveryPoint point in old)
        {
            Find(Main, point.Instant)!.Until = position();
        }

        ForgetPlan plan = await vault.PlanForgetAsync(new ForgetRequest { Points = [.. old.Select(point => point.Id.ToString("N"))] }, CancellationToken.None);
        await vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), "a test", CancellationToken.None);
    }

    private async Task PruneAsync()
    {
        await using BackupVault vault = await OpenAsync(store(Path.Combine(folder, Main)));
        await PruneAsync(vault);
    }

    internal static async Task PruneAsync(BackupVault vault) =>
        await vault.PruneAsync(await vault.PlanPruneAsync(new PruneSettings(), null, CancellationToken.None), null, CancellationToken.None);

    /// <summary>Lets a pack of the third vault rot, loses the second copy of a root, and repairs it.</summary>
    private async Task RotAndRepairAsync()
    {
        int from = position();
        _rotten.Add((from, int.MaxValue));
        string vault = Path.Combine(folder, Rotting);
        string pack = Directory.EnumerateFiles(Path.Combine(vault, "packs"), "*", SearchOption.AllDirectories).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal).First();
        await RotAsync(pack);
        File.Delete(Path.Combine(vault, "copies", "ring", "00000001"));
        await RepairAsync();
        _rotten[^1] = (from, position());
    }

    private async Task RepairAsync()
    {
        await using BackupVault vault = await OpenAsync(store(Path.Combine(folder, Rotting)));
        RepairReport report = await vault.RepairAsync(new RepairOptions(), null, CancellationToken.None);
        if (!report.IsSound || report.Healed.Count != 1)
        {
            throw new InvalidOperationException($"{report.Healed.Count} packs were healed, {report.Unhealed.Count} pieces of damage are left");
        }
    }

    /// <summary>Changes a byte of a file where it lies.</summary>
    private static async Task RotAsync(string path)
    {
        await using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        file.Position = RotAt;
        int was = file.ReadByte();
        file.Position = RotAt;
        file.WriteByte((byte)(was ^ 0x20));
    }

    private Promise? Find(string vault, DateTimeOffset instant) => Promises.Find(promise => promise.Vault == vault && promise.Instant == instant);

    /// <summary>Backs content up as one volume.</summary>
    internal static async Task BackUpAsync(BackupVault vault, byte[] content, DateTimeOffset instant, params IReadOnlyList<string> tags)
    {
        await using BackupSession session = await vault.BeginAsync("host", CancellationToken.None);
        int size = vault.Info.ChunkSize;
        BlockBitmap all = new(content.Length / size);
        all.SetRange(0, all.Length);
        ImageWriter image = session.NewImage(content.Length, all);
        using ChunkSealer sealer = session.NewSealer();
        for (int i = 0; i < all.Length; i++)
        {
            ReadOnlyMemory<byte> chunk = content.AsMemory(i * size, size);
            ChunkId id = session.Identify(chunk.Span);
            if (session.TryClaim(id))
            {
                await session.AddAsync(sealer.Seal(id, chunk.Span), CancellationToken.None);
            }

            image.Set(i, id);
        }

        ChunkId root = await image.FinishAsync(CancellationToken.None);
        VolumeRecord volume = new() { Name = "disk", Source = "/dev/test", Length = content.Length, SectorSize = 512, Root = root };
        await session.CommitAsync(new PointDraft { Host = "host", Instant = instant, Volumes = [volume], Tags = tags }, CancellationToken.None);
    }
}
