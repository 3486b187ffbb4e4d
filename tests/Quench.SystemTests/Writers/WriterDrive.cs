using System.Diagnostics;
using Quench.Snapshots;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Writers;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>The writers of a volume, led through a backup step by step in this process.</summary>
internal sealed class WriterDrive : IAsyncDisposable
{
    private readonly IReadOnlyList<IWriter> _writers;
    private readonly Dictionary<IWriter, long> _since = [];

    private WriterDrive(IReadOnlyList<IWriter> writers) => _writers = writers;

    internal Dictionary<string, WriterMetadata> Metadata { get; } = [];

    /// <summary>How long each was held: from the call of its freeze to the answer of its thaw.</summary>
    internal Dictionary<string, TimeSpan> Held { get; } = [];

    internal List<WriterDocument> Documents { get; } = [];

    /// <summary>Finds the writers of what is mounted there.</summary>
    internal static async Task<WriterDrive> FindAsync(string mountPoint, params IEnumerable<(string Name, string Value)> settings)
    {
        WriterSettings set = new(settings.ToDictionary(setting => setting.Name, setting => setting.Value));
        WriterSearch search = new([mountPoint], set, TimeProvider.System);
        List<IWriter> found = [];
        foreach (IWriterSource source in BuiltInWriters.All)
        {
            found.AddRange(await source.FindAsync(search, CancellationToken.None));
        }

        return new WriterDrive(found);
    }

    internal IWriter Find(string name, string folder) => _writers.Single(writer => writer.Identity.Name == name && writer.Identity.InstanceName == folder);

    internal int Count => _writers.Count;

    /// <summary>The process that guards the only hold.</summary>
    internal int GuardProcess => _writers.OfType<GuardedWriter>().Single().GuardProcess!.Value;

    /// <summary>Asks all of them what they own, and demands that they can hold.</summary>
    internal async Task IdentifyAsync()
    {
        foreach (IWriter writer in _writers)
        {
            WriterMetadata metadata = await writer.IdentifyAsync(CancellationToken.None);
            Assert.Null(metadata.CannotHold);
            Metadata[writer.Identity.ToString()] = metadata;
        }
    }

    /// <summary>Identify to freeze, all of them.</summary>
    internal async Task FreezeAsync(string mountPoint, TimeSpan holdLimit)
    {
        BackupOperation operation = new() { SetId = Guid.NewGuid(), HoldLimit = holdLimit, Volumes = [new OperationVolume("volume", mountPoint, mountPoint)] };
        await IdentifyAsync();
        foreach (IWriter writer in _writers)
        {
            await writer.PrepareBackupAsync(operation, CancellationToken.None);
        }

        foreach (IWriter writer in _writers)
        {
            await writer.PrepareSnapshotAsync(CancellationToken.None);
        }

        foreach (IWriter writer in _writers)
        {
            _since[writer] = Stopwatch.GetTimestamp();
            await writer.FreezeAsync(CancellationToken.None);
        }
    }

    /// <summary>Thaws all of them.</summary>
    /// <param name="demandDocuments">Also what a restore needs, as after an instant that stands.</param>
    internal async Task<Dictionary<string, HoldAnswer>> ThawAsync(bool demandDocuments = true)
    {
        Dictionary<string, HoldAnswer> answers = [];
        foreach (IWriter writer in _writers.Reverse())
        {
            answers[writer.Identity.ToString()] = await writer.ThawAsync(CancellationToken.None);
            Held[writer.Identity.ToString()] = Stopwatch.GetElapsedTime(_since[writer]);
        }

        foreach (IWriter writer in demandDocuments ? _writers : [])
        {
            Documents.AddRange(await writer.PostSnapshotAsync(CancellationToken.None));
        }

        return answers;
    }

    /// <summary>Takes a snapshot while all are held, and demands that they were.</summary>
    internal async Task<TakenInstant> TakeAsync(LiveVolume volume)
    {
        await FreezeAsync(volume.MountPoint, TimeSpan.FromSeconds(20));
        InstantClock clock = new();
        ISnapshot snapshot = await FilterProvider.TakeAsync(volume.Attached, new SnapshotOptions(), clock, CancellationToken.None);
        Assert.All(await ThawAsync(), answer => Assert.True(answer.Value.IsHeld, $"{answer.Key}: {answer.Value.Reason}"));
        Assert.Equal(SnapshotGrade.FileSystem, snapshot.Grade);
        long frozen = (long)(snapshot.FreezeTime!.Value.TotalSeconds * Stopwatch.Frequency);
        return new TakenInstant(snapshot, clock.Asked - frozen, clock.Asked);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (IWriter writer in _writers)
        {
            await writer.DisposeAsync();
        }
    }

    /// <summary>Remembers when it was asked for the time last: the provider asks right after the instant.</summary>
    private sealed class InstantClock : TimeProvider
    {
        internal long Asked { get; private set; }

        public override DateTimeOffset GetUtcNow()
        {
            Asked = Stopwatch.GetTimestamp();
            return base.GetUtcNow();
        }
    }
}

/// <summary>A snapshot, and the bounds of its instant in Stopwatch ticks: the file system's freeze began before it, and the provider looked at the clock after it.</summary>
internal sealed record TakenInstant(ISnapshot Snapshot, long Before, long After);
