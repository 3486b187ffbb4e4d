using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Vault;
using Quench.Vault.Index;
using Quench.Vault.Index.Runs;
using Quench.Vault.Keys;
using Xunit;

namespace Quench.Tests.Vault.Index;

/// <summary>A run: records, fences and filter in sealed pages.</summary>
public sealed class RunTests : IDisposable
{
    private readonly TemporaryDirectory _folder = new();
    private readonly VaultKeys _keys = VaultKeys.From(Guid.NewGuid(), new byte[32]);
    private readonly Random _random = TestSeed.NewRandom();

    public void Dispose()
    {
        _keys.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(77)]
    [InlineData(78)]
    [InlineData(79)]
    [InlineData(156)]
    [InlineData(5000)]
    public void Every_record_is_found_again_and_no_other(int count)
    {
        IndexRecord[] records = NewRecords(count);
        using RunFile run = NewRun(records);
        using RunFile again = Reopen(run.Shape)!;
        foreach (IndexRecord record in records)
        {
            Assert.True(run.TryFind(record.Id, out IndexRecord found));
            Assert.Equal(record, found);
            Assert.True(again.TryFind(record.Id, out found));
            Assert.Equal(record, found);
        }

        Assert.All(NewRecords(1000), record => Assert.False(again.TryFind(record.Id, out _)));
        Assert.Equal(records, RunMerge.Records([again]));
    }

    [Fact]
    public void Ids_that_share_their_first_bytes_across_pages_are_told_apart()
    {
        byte[] id = new byte[ChunkId.Size];
        id.AsSpan().Fill(9);
        IndexRecord[] records = new IndexRecord[400];
        for (int i = 0; i < records.Length; i++)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(id.AsSpan(24), i);
            records[i] = new IndexRecord(ChunkId.From(id), i, i, i, (uint)i, i);
        }

        using RunFile run = NewRun(records);
        Assert.All(records, record => Assert.True(run.TryFind(record.Id, out IndexRecord found) && found == record));
    }

    [Fact]
    public void Asking_allocates_nothing()
    {
        IndexRecord[] records = NewRecords(2000);
        IndexRecord[] absent = NewRecords(2000);
        using RunFile run = NewRun(records);
        long before = 0;
        for (int round = 0; round < 2; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread(); // the first round makes the reader that the second one uses
            for (int i = 0; i < records.Length; i++)
            {
                run.TryFind(records[i].Id, out _);
                run.TryFind(absent[i].Id, out _);
            }
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void The_filter_is_wrong_about_one_absent_id_in_a_hundred_at_most()
    {
        IndexRecord[] records = NewRecords(20_000);
        ChunkFilter filter = new(new ulong[ChunkFilter.WordsFor(records.Length)]);
        Array.ForEach(records, record => filter.Add(record.Id));
        Assert.All(records, record => Assert.True(filter.MayHold(record.Id)));
        double wrong = NewRecords(20_000).Count(record => filter.MayHold(record.Id)) / 20_000.0;
        TestContext.Current.SendDiagnosticMessage($"{wrong:P2} of absent ids pass");
        Assert.InRange(wrong, 0, 0.01);
    }

    [Fact]
    public void A_merge_keeps_the_newest_of_each_id_and_the_order()
    {
        IndexRecord[] all = NewRecords(3000);
        IndexRecord[] old = [.. all.Where(_ => _random.Next(2) == 0)];
        IndexRecord[] middle = [.. all.Where(_ => _random.Next(2) == 0).Select(record => record with { Offset = 1 })];
        IndexRecord[] young = [.. all.Where(_ => _random.Next(4) == 0).Select(record => record with { Offset = 2 })];
        using RunFile a = NewRun(old);
        using RunFile b = NewRun(middle);
        using RunFile c = NewRun(young);
        Dictionary<ChunkId, IndexRecord> model = [];
        foreach (IndexRecord record in old.Concat(middle).Concat(young))
        {
            model[record.Id] = record;
        }

        Assert.Equal(model.Values.OrderBy(record => record.Id, Comparer<ChunkId>.Create((x, y) => x.CompareTo(y))), RunMerge.Records([c, b, a]));
    }

    [Theory]
    [InlineData(new[] { 1, 1, 1 }, 3, 0)]
    [InlineData(new[] { 1, 1, 1, 1 }, 3, 4)]
    [InlineData(new[] { 1, 1, 1, 9 }, 3, 3)]
    [InlineData(new[] { 1, 2, 4, 8 }, 3, 2)]
    [InlineData(new[] { 4, 4, 4, 4, 100, 1000 }, 5, 4)]
    public void Merging_leaves_much_larger_runs_alone(int[] newestFirst, int most, int merged) =>
        Assert.Equal(merged, RunMerge.Choose(newestFirst, most));

    [Fact]
    public void Every_byte_of_damage_is_seen_and_never_a_wrong_record()
    {
        IndexRecord[] records = NewRecords(200);
        RunShape shape;
        using (RunFile run = NewRun(records))
        {
            shape = run.Shape;
        }

        string path = _folder[shape.Id.ToString("N")];
        byte[] sound = LockedFile.ReadAllBytes(path);
        Assert.Equal(shape.Length, sound.Length);
        for (int at = _random.Next(37); at < sound.Length; at += 37)
        {
            byte[] bytes = [.. sound];
            bytes[at] ^= (byte)(1 << _random.Next(8));
            File.WriteAllBytes(path, bytes);
            int seen = Damage(shape, records);
            Assert.True(seen > 0, $"nobody noticed that byte {at} had changed");
        }

        foreach (int length in Enumerable.Range(0, shape.Pages).Select(page => (page * PageCipher.PageSize) + _random.Next(PageCipher.PageSize)))
        {
            File.WriteAllBytes(path, sound[..length]);
            Assert.True(Damage(shape, records) > 0, $"nobody noticed that the file ends after {length} bytes");
        }
    }

    /// <summary>Asks for everything; counts what could not be told.</summary>
    private int Damage(RunShape shape, IndexRecord[] records)
    {
        using RunFile? run = Reopen(shape);
        int seen = run is null ? 1 : 0;
        foreach (IndexRecord record in run is null ? [] : records)
        {
            try
            {
                Assert.True(run!.TryFind(record.Id, out IndexRecord found));
                Assert.Equal(record, found);
            }
            catch (DamagedRunException)
            {
                seen++;
            }
        }

        return seen;
    }

    private IndexRecord[] NewRecords(int count) =>
    [
        .. Enumerable.Range(0, count)
            .Select(number => new IndexRecord(ChunkId.From(_random.NextBytes(ChunkId.Size)), _random.Next(), _random.Next(), _random.Next(), (uint)_random.Next(), number))
            .OrderBy(record => record.Id, Comparer<ChunkId>.Create((a, b) => a.CompareTo(b))),
    ];

    private RunFile NewRun(IndexRecord[] records)
    {
        Guid id = Guid.NewGuid();
        SafeFileHandle file = NativeFile.Open(_folder[id.ToString("N")], OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        using RunWriter writer = new(_keys, id, file, records.Length);
        Array.ForEach(records, record => writer.Add(record));
        (RunShape shape, ulong[] fences, ChunkFilter filter) = writer.Finish();
        return new RunFile(_keys, file, shape, fences, filter);
    }

    private RunFile? Reopen(RunShape shape)
    {
        SafeFileHandle file = NativeFile.Open(_folder[shape.Id.ToString("N")], OpenMode.ReadOnly);
        RunFile? run = RunFile.TryOpen(_keys, file, shape);
        if (run is null)
        {
            file.Dispose();
        }

        return run;
    }
}
