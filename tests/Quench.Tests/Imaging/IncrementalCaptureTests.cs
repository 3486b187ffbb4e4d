using System.Globalization;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Tests.Vault;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class IncrementalCaptureTests
{
    private const int Mebibyte = 1 << 20;
    private const int ChunkSize = VaultLab.ChunkSize;

    private static int Rounds =>
        int.TryParse(Environment.GetEnvironmentVariable("QUENCH_ROUNDS"), CultureInfo.InvariantCulture, out int rounds) ? rounds : 12;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_image_is_the_snapshot_unless_the_history_lied_about_chunks_that_were_not_sampled()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < Rounds; round++)
        {
            await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
            TrackedVolume volume = TrackedVolume.New(random, random.Next(1, 5 * Mebibyte));
            byte[] stale = [];
            for (int run = 0; run < 5; run++)
            {
                Mistreat(random, volume, mayLie: run > 0 && random.Next(3) == 0);
                List<long> lied = LiedChunks(volume);
                TrackedVolume.Snapshot snapshot = volume.Take();
                byte[] expected = volume.Expected();
                bool prove = lied.Count == 0 && random.Next(3) == 0;
                CaptureResult result = await CaptureAsync(vault, volume, snapshot, random, prove, fullScan: run > 0 && random.Next(8) == 0);
                byte[] image = await VaultLab.RestoreAsync(vault, result.Volume);
                bool caught = Judge(result, snapshot, lied, expected, stale, image, isFirst: run == 0);
                stale = image; // what the next run builds upon
                if (caught)
                {
                    volume.Lies.Clear();
                }
            }

            Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
        }
    }

    [Fact]
    public async Task Only_what_changed_is_read_and_protected_beside_the_sample_and_counted_as_such()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, 20 * Mebibyte);
        CaptureResult first = await CaptureAsync(vault, volume, volume.Take(), random);
        Assert.Equal((ScanRecord.Full, "nothing is on record for this vault"), (first.Volume.Scan!.Kind, first.Volume.Scan.Reason));
        Assert.Equal(20L * Mebibyte, first.Volume.Scan.ReadBytes);
        volume.Write(new Extent((5 * Mebibyte) + 100, 1));
        volume.Write(new Extent((12 * Mebibyte) - 1, 2));

        TrackedVolume.Snapshot snapshot = volume.Take();
        CaptureResult second = await CaptureAsync(vault, volume, snapshot, random);
        ScanRecord scan = second.Volume.Scan!;
        UsedBlocks changedChunks = ChunksOf(volume.Length, [new Extent((5 * Mebibyte) + 100, 1), new Extent((12 * Mebibyte) - 1, 2)], volume, scan);
        Assert.Equal((ScanRecord.Changes, null, first.Point.Id, MapSample.Least), (scan.Kind, scan.Reason, scan.Base, scan.SampledChunks));
        Assert.Equal(changedChunks.TotalLength + ((long)scan.SampledChunks * ChunkSize), scan.ReadBytes);
        Assert.Equal(scan.ReadBytes, snapshot.Inner.Reads.Sum(read => read.Length));
        Assert.Equal(changedChunks.Runs(), snapshot.Kept[1].Runs());
        Assert.Equal(changedChunks.Runs(), new ExtentSet(snapshot.Inner.Released));
        Assert.Equal(3, second.Totals.NewChunks);
        Assert.Equal(4, scan.NewPages); // chunks 320, 767 and 768 lie below three pages of level 0, and there is one above them
        Assert.Equal(volume.Remembered, second.Point.Id);
        VolumeRecord listed = (await vault.FindPointAsync("latest", Token))!.Volumes[0];
        Assert.Equal(scan, listed.Scan);
    }

    [Fact]
    public async Task With_nothing_changed_the_image_is_the_base_and_nothing_is_stored_but_the_point()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = TrackedVolume.New(random, 9 * Mebibyte);
        CaptureResult first = await CaptureAsync(vault, volume, volume.Take(), random);
        CaptureResult second = await CaptureAsync(vault, volume, volume.Take(), random);
        Assert.Equal(first.Volume.Root, second.Volume.Root);
        Assert.Equal((ScanRecord.Changes, 0L, 0L), (second.Volume.Scan!.Kind, second.Totals.NewChunks, second.Totals.NewPages));
    }

    [Fact]
    public async Task A_chunk_in_which_other_blocks_are_in_use_is_read_although_nobody_wrote_it()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = new(random, 4 * Mebibyte); // random bytes everywhere, of which nothing is in use yet
        volume.Used.Add(new Extent(0, 2 * Mebibyte));
        volume.Used.Bits.Clear(3);
        await CaptureAsync(vault, volume, volume.Take(), random);
        volume.UseAtRandom(0.5);
        CaptureResult second = await CaptureAsync(vault, volume, volume.Take(), random);
        Assert.Equal(ScanRecord.Changes, second.Volume.Scan!.Kind);
        Assert.Equal(volume.Expected(), await VaultLab.RestoreAsync(vault, second.Volume));
    }

    [Fact]
    public async Task Doubtful_chunks_are_compared_by_hash_and_those_that_differ_are_counted()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, 8 * Mebibyte);
        await CaptureAsync(vault, volume, volume.Take(), random);
        volume.WriteInDoubt(new Extent(3 * Mebibyte, 1));
        volume.WriteInDoubt(new Extent(6 * Mebibyte, 1));
        volume.Doubtful.Add(new Extent(Mebibyte, Mebibyte));
        CaptureResult second = await CaptureAsync(vault, volume, volume.Take(), random);
        ScanRecord scan = second.Volume.Scan!;
        Assert.Equal((ScanRecord.Changes, "the machine stopped without a word"), (scan.Kind, scan.Reason));
        Assert.Equal(2, scan.DoubtfulChunksDiffering);
        Assert.InRange(scan.DoubtfulChunks, 66, 66 + 32);
        Assert.Equal(2, second.Totals.NewChunks);
        Assert.Equal(volume.Expected(), await VaultLab.RestoreAsync(vault, second.Volume));
    }

    [Fact]
    public async Task A_history_that_lies_is_found_out_and_everything_is_read_in_the_same_run_with_a_loud_warning()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, 4 * Mebibyte);
        CaptureResult first = await CaptureAsync(vault, volume, volume.Take(), random);
        volume.Write(new Extent(100, 100));
        volume.WriteUnseen(new Extent(Mebibyte, 3 * Mebibyte)); // 192 of at most 255 chunks, of which 64 are sampled: all but certain to be seen
        TrackedVolume.Snapshot snapshot = volume.Take();
        CaptureResult second = await CaptureAsync(vault, volume, snapshot, random);
        ScanRecord scan = second.Volume.Scan!;
        Assert.Equal((ScanRecord.FullAfterDoubt, "the record of changes is wrong", null), (scan.Kind, scan.Reason, scan.Base));
        Assert.Contains($"though no write to it is on record", scan.MapDistrusted, StringComparison.Ordinal);
        Assert.Equal("IMG-131", Assert.Single(second.Warnings).Code);
        Assert.Single(snapshot.Kept); // the promise was not shrunk before the map had passed
        Assert.Equal(volume.Expected(), await VaultLab.RestoreAsync(vault, second.Volume));
        Assert.Equal(volume.Remembered, second.Point.Id);
        Assert.NotEqual(first.Volume.Root, second.Volume.Root);
    }

    [Fact]
    public async Task A_full_scan_on_demand_asks_no_history_and_is_remembered_all_the_same()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, 2 * Mebibyte);
        await CaptureAsync(vault, volume, volume.Take(), random);
        volume.WriteUnseen(new Extent(5, 5));
        volume.Answer = () => throw new InvalidOperationException("asked");
        CaptureResult second = await CaptureAsync(vault, volume, volume.Take(), random, fullScan: true);
        Assert.Equal((ScanRecord.Full, "a full scan was asked for"), (second.Volume.Scan!.Kind, second.Volume.Scan.Reason));
        Assert.Equal(volume.Expected(), await VaultLab.RestoreAsync(vault, second.Volume));
        Assert.Equal(volume.Remembered, second.Point.Id);
    }

    [Theory]
    [InlineData("forgotten", "does not hold point")]
    [InlineData("manifest gone", "is damaged")]
    [InlineData("pages gone", "can't be read")]
    [InlineData("collection", "garbage collection is under way")]
    [InlineData("no record", "the filter was attached only now")]
    [InlineData("record lost", "the record of changes can't be read: its file is gone")]
    [InlineData("another used map", "does not fit the point")]
    public async Task Whatever_is_wrong_with_base_or_record_everything_is_read_and_the_point_says_why(string what, string said)
    {
        Random random = TestSeed.NewRandom();
        MemoryStore store = new();
        await using BackupVault vault = await VaultLab.CreateAsync(store);
        TrackedVolume volume = FullVolume(random, 5 * Mebibyte);
        CaptureResult first = await CaptureAsync(vault, volume, volume.Take(), random);
        await SpoilAsync(what, store, volume, first.Point.Id);
        volume.Write(new Extent(7, 7));
        TrackedVolume.Snapshot snapshot = volume.Take();
        CaptureResult second = await CaptureAsync(vault, volume, snapshot, random);
        Assert.Equal((ScanRecord.Full, null), (second.Volume.Scan!.Kind, second.Volume.Scan.Base));
        Assert.Contains(said, second.Volume.Scan.Reason, StringComparison.Ordinal);
        Assert.Single(snapshot.Kept);
        Assert.Empty(second.Warnings);
        Assert.Equal(volume.Expected(), await VaultLab.RestoreAsync(vault, second.Volume));
        volume.Answer = null;
        CaptureResult third = await CaptureAsync(vault, volume, volume.Take(), random);
        Assert.Equal(ScanRecord.Changes, third.Volume.Scan!.Kind);
        Assert.Equal(second.Point.Id, third.Volume.Scan.Base);
    }

    [Fact]
    public async Task A_volume_of_another_size_is_read_whole()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume small = FullVolume(random, 2 * Mebibyte);
        CaptureResult first = await CaptureAsync(vault, small, small.Take(), random);
        TrackedVolume large = FullVolume(random, 3 * Mebibyte);
        large.Answer = () => new VolumeChanges(first.Point.Id, large.Changed, large.Doubtful, large.Used, null);
        CaptureResult second = await CaptureAsync(vault, large, large.Take(), random);
        Assert.Equal(ScanRecord.Full, second.Volume.Scan!.Kind);
        Assert.Contains("another size", second.Volume.Scan.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_can_not_be_remembered_is_a_warning_and_the_point_is_there()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, Mebibyte);
        volume.IsForgetful = true;
        CaptureResult result = await CaptureAsync(vault, volume, volume.Take(), random);
        CaptureWarning warning = Assert.Single(result.Warnings);
        Assert.Equal("IMG-132", warning.Code);
        Assert.Contains("a disk that is full", warning.Message, StringComparison.Ordinal);
        Assert.Equal(result.Point.Id, (await vault.FindPointAsync("latest", Token))!.Id);
    }

    [Fact]
    public async Task A_capture_that_fails_remembers_nothing()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, Mebibyte);
        CaptureResult first = await CaptureAsync(vault, volume, volume.Take(), random);
        volume.Write(new Extent(0, Mebibyte));
        TrackedVolume.Snapshot snapshot = volume.Take();
        snapshot.Inner.BeforeRead = (_, _, _) => throw new IOException("bad sector");
        await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, snapshot, random));
        Assert.Equal(first.Point.Id, volume.Remembered);
        Assert.Equal(Mebibyte, volume.Changed.TotalLength);
    }

    [Fact]
    public async Task A_proof_of_an_incremental_reads_everything_and_keeps_everything_protected()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        TrackedVolume volume = FullVolume(random, 3 * Mebibyte);
        await CaptureAsync(vault, volume, volume.Take(), random);
        volume.Write(new Extent(0, 10));
        TrackedVolume.Snapshot snapshot = volume.Take();
        CaptureResult second = await CaptureAsync(vault, volume, snapshot, random, prove: true);
        Assert.Equal(ScanRecord.Changes, second.Volume.Scan!.Kind);
        Assert.NotNull(second.Volume.Proof);
        Assert.Single(snapshot.Kept);
        Assert.Empty(snapshot.Inner.Released);
        Assert.Equal(3L * Mebibyte, new ExtentSet(snapshot.Inner.Reads).TotalLength);
    }

    private static async Task SpoilAsync(string what, MemoryStore store, TrackedVolume volume, Guid point)
    {
        switch (what)
        {
            case "forgotten":
                await OtherHand.ForgetAsync(store, point);
                break;
            case "manifest gone":
                await RootCopies.DeleteAsync(store, ObjectNames.Point(point), Token);
                break;
            case "pages gone":
                await DropPacksAsync(store);
                break;
            case "collection":
                await OtherHand.CondemnNothingAsync(store, 1);
                break;
            case "no record":
                volume.Answer = () => VolumeChanges.Unknown("the filter was attached only now");
                break;
            case "record lost":
                volume.Answer = () => throw new QuenchException("TEST-001", "its file is gone", "look for it");
                break;
            default:
                UsedBlocks other = new(volume.Length, volume.Used.BlockSize);
                volume.Answer = () => new VolumeChanges(point, volume.Changed, volume.Doubtful, other, null);
                break;
        }
    }

    private static async Task DropPacksAsync(MemoryStore store)
    {
        foreach (string name in (await VaultLab.SnapshotAsync(store)).Keys.Where(name => name.StartsWith(ObjectNames.Packs, StringComparison.Ordinal)))
        {
            await store.DeleteAsync(name, Token);
        }
    }

    private static TrackedVolume FullVolume(Random random, int length)
    {
        TrackedVolume volume = new(random, length);
        volume.Used.Add(new Extent(0, length));
        return volume;
    }

    private static void Mistreat(Random random, TrackedVolume volume, bool mayLie)
    {
        for (int writes = random.Next(12); writes > 0; writes--)
        {
            volume.Write(volume.Anywhere(random.Next(4) == 0 ? Mebibyte / 2 : 5000));
        }

        for (int writes = random.Next(3) == 0 ? random.Next(4) : 0; writes > 0; writes--)
        {
            volume.WriteInDoubt(volume.Anywhere(20_000));
        }

        for (int writes = mayLie ? random.Next(1, 3) : 0; writes > 0; writes--)
        {
            volume.WriteUnseen(volume.Anywhere(random.Next(4) == 0 ? 20 * ChunkSize : 100));
        }

        if (random.Next(2) == 0)
        {
            volume.UseAtRandom(0.6);
        }
    }

    /// <summary>Chunks with a used block that was written behind the history's back.</summary>
    private static List<long> LiedChunks(TrackedVolume volume) =>
        [.. volume.Lies.SelectMany(lie => Chunks(lie)).Distinct().Order()];

    private static IEnumerable<long> Chunks(Extent extent)
    {
        for (long chunk = extent.Offset / ChunkSize; chunk * ChunkSize < extent.End; chunk++)
        {
            yield return chunk;
        }
    }

    /// <summary>Holds an image against what it may be.</summary>
    /// <returns>Whether all of it is as the volume was.</returns>
    private static bool Judge(
        CaptureResult result, TrackedVolume.Snapshot snapshot, List<long> lied, byte[] expected, byte[] stale, byte[] image, bool isFirst)
    {
        string kind = result.Volume.Scan!.Kind;
        Assert.Equal(isFirst, kind == ScanRecord.Full && result.Volume.Scan.Reason!.StartsWith("nothing is on record", StringComparison.Ordinal));
        if (kind != ScanRecord.Changes)
        {
            Assert.True(lied.Count > 0 || kind == ScanRecord.Full, "an honest history was distrusted");
            Assert.Equal(expected, image);
            return true;
        }

        // What was read is right. What was not is as it was, which is wrong only where the history lied: and none of that was in the sample.
        UsedBlocks read = new(expected.Length, 1 << 9);
        foreach (Extent extent in snapshot.Inner.Reads)
        {
            read.Add(extent);
        }

        for (int at = 0; at < expected.Length; at += ChunkSize)
        {
            Range chunk = at..Math.Min(at + ChunkSize, expected.Length);
            bool wrong = !expected.AsSpan(chunk).SequenceEqual(image.AsSpan(chunk));
            Assert.False(wrong && read.Overlaps(Extent.FromTo(at, chunk.End.Value)), $"chunk at {at} was read and is wrong");
            Assert.False(wrong && !lied.Contains(at / ChunkSize), $"chunk at {at} is wrong and nobody lied");
            Assert.False(wrong && !stale.AsSpan(chunk).SequenceEqual(image.AsSpan(chunk)), $"chunk at {at} is neither as it is nor as it was");
        }

        return false;
    }

    /// <summary>The chunks that extents lie in, at the history's own granularity.</summary>
    private static UsedBlocks ChunksOf(int length, IEnumerable<Extent> extents, TrackedVolume volume, ScanRecord scan)
    {
        int region = volume.Changed.BlockSize;
        UsedBlocks regions = new(length, region);
        UsedBlocks chunks = new(length, ChunkSize);
        foreach (Extent extent in extents)
        {
            regions.Add(extent);
        }

        foreach (Extent run in regions.Runs())
        {
            chunks.Add(run);
        }

        Assert.Equal(regions.TotalLength, scan.ChangedBytes);
        return chunks;
    }

    private static Task<CaptureResult> CaptureAsync(
        BackupVault vault, TrackedVolume volume, ISnapshot snapshot, Random random, bool prove = false, bool fullScan = false)
    {
        int lanes = random.Next(1, 5);
        CaptureRequest request = new()
        {
            Snapshot = snapshot,
            Analysis = new VolumeAnalysis(null, volume.Used, null),
            Name = "vol",
            Host = "testhost",
            Prove = prove,
            FullScan = fullScan,
            Settings = new CaptureSettings { ReadLanes = lanes, WorkLanes = lanes },
            Chance = new Random(random.Next()),
        };
        return VolumeCapture.RunAsync(request, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, Token);
    }
}
