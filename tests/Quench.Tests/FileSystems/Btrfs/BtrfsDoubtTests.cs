using Quench.Blocks;
using Quench.FileSystems;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>What must not be believed: then everything is in use, and a sentence says why.</summary>
public sealed class BtrfsDoubtTests(ITestOutputHelper output)
{
    private const int Super = BtrfsImage.SuperblockPlace;

    [Fact]
    public async Task The_facts_are_those_that_were_given()
    {
        byte[] image = await MakeAsync("-L", "Grüße", "-U", "0b5cb1b5-58a0-4ef0-9f6c-3b1c1c2f9a11");
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Null(ours.Doubt);
        Assert.Equal(new FileSystemFacts("btrfs", "Grüße", "0b5cb1b5-58a0-4ef0-9f6c-3b1c1c2f9a11", 4096, image.Length, FileSystemState.Clean), ours.FileSystem);
        Assert.Equal("btrfs check", ours.FileSystem!.Checker);
        VolumeAnalysis running = await AnalyseAsync(image, VolumeCondition.Running);
        Assert.Null(running.Doubt);
        Assert.Equal(FileSystemState.NeedsRecovery, running.FileSystem!.State);
    }

    [Theory]
    [InlineData(0xBC, 1UL << 12, "incompatible feature not known here (bits 0x1000)")]
    [InlineData(0xBC, 1UL << 14, "incompatible feature not known here (bits 0x4000)")]
    [InlineData(0xB4, 1UL << 4, "read-only compatible feature not known here (bits 0x10)")]
    [InlineData(0xB4, 8UL, "does not say where")]
    [InlineData(0x38, 1UL << 33, "metadata alone")]
    [InlineData(0x38, 4UL, "noted errors")]
    [InlineData(0x88, 3UL, "lies on 2 devices")]
    [InlineData(0x90, 512UL, "sectors of 4608")]
    [InlineData(0x94, 1UL << 20, "tree blocks of")]
    [InlineData(0xC4, 1UL, "of kind XxHash64")]
    [InlineData(0xC4, 3UL, "of kind Blake2b")]
    [InlineData(0xC4, 2UL, "does not match its checksum")]
    [InlineData(0xA0, 1UL << 12, "more system chunks than")]
    [InlineData(0xA0, 1UL, "system chunks are")]
    [InlineData(0xC6, 9UL, "impossible height")]
    [InlineData(0xC9, 2UL, "lies on another device")]
    [InlineData(0xD1, 1UL << 40, "its volume has")]
    [InlineData(0x11B, 1UL, "another file system")]
    [InlineData(0x30, 4096UL, "its checksum or its place")]
    [InlineData(0x48, 1UL, "is not the block of tree 1 that should be there")]
    [InlineData(0x50, 4096UL, "btrfs tree block")]
    [InlineData(0x58, 1UL << 50, "where no chunk holds it")]
    [InlineData(0xA4, 1UL, "is not the block of tree 3 that should be there")]
    [InlineData(0x78, 4096UL, "bytes in use; the extent tree has")]
    [InlineData(0x60, 4096UL, "no chunk holds it")]
    public async Task A_superblock_of_another_kind_puts_everything_in_use(int field, ulong bits, string sentence)
    {
        byte[] image = await MakeAsync();
        WriteUInt64LittleEndian(image.AsSpan(Super + field), ReadUInt64LittleEndian(image.AsSpan(Super + field)) ^ bits);
        BtrfsImage.Seal(image, Super, BtrfsImage.SuperblockSize);
        await ExpectDoubtAsync(image, sentence);
    }

    [Fact]
    public async Task A_copy_of_the_superblock_that_is_newer_puts_everything_in_use()
    {
        byte[] image = await MakeAsync();
        const int copy = 64 << 20;
        image[copy + 0x48]++;
        Assert.Null((await AnalyseAsync(image)).Doubt);
        BtrfsImage.Seal(image, copy, BtrfsImage.SuperblockSize);
        await ExpectDoubtAsync(image, "is newer than the superblock");
    }

    [Theory]
    [InlineData(2UL, 0x30, "is not the block of tree 2")]
    [InlineData(2UL, 0x20, "is not the block of tree 2")]
    [InlineData(2UL, 0x38, "is not the block of tree 2")]
    [InlineData(2UL, 0x50, "is not the block of tree 2")]
    [InlineData(2UL, 0x58, "is not the block of tree 2")]
    [InlineData(2UL, 0x64, "is not the block of tree 2")]
    [InlineData(1UL, 0x58, "is not the block of tree 1")]
    [InlineData(3UL, 0x58, "is not the block of tree 3")]
    [InlineData(2UL, 0x61, "is not formed as it must be")]
    [InlineData(2UL, 0, "keys of the btrfs tree block")]
    public async Task A_tree_block_that_is_not_the_one_that_was_meant_puts_everything_in_use(ulong tree, int field, string sentence)
    {
        BtrfsImage image = new(await MakeAsync());
        int place = image.PlaceOf(RootOf(image, tree));
        if (field > 0)
        {
            image.Bytes[place + field] ^= 0x41;
        }
        else
        {
            Span<byte> first = image.Bytes.AsSpan(place + BtrfsImage.HeaderSize, 17);
            first.CopyTo(image.Bytes.AsSpan(place + BtrfsImage.HeaderSize + BtrfsImage.EntrySize)); // the second key is the first
        }

        BtrfsImage.Seal(image.Bytes, place, image.NodeSize);
        await ExpectDoubtAsync(image.Bytes, sentence);
    }

    [Theory]
    [InlineData(192, 1, 0x10, "bytes in use; the extent tree has")]
    [InlineData(192, 16, 7, "is not as its chunk")]
    [InlineData(169, 16, 3, "of a kind that its chunk does not hold")]
    [InlineData(169, 16, 2, "of a kind that its chunk does not hold")]
    public async Task An_extent_tree_that_contradicts_the_chunks_puts_everything_in_use(byte type, int field, byte bits, string sentence)
    {
        BtrfsImage image = new(await MakeAsync());
        int leaf = image.Leaves(image.ExtentTree).First();
        image.Bytes[image.DataOf(image.ExtentTree, type) + field] ^= bits;
        BtrfsImage.Seal(image.Bytes, leaf, image.NodeSize);
        await ExpectDoubtAsync(image.Bytes, sentence);
    }

    [Theory]
    [InlineData(0x18, 0x10, "profile not read here")]
    [InlineData(0x18, 0x20, "profile not read here")]
    [InlineData(0x19, 1, "profile not read here")]
    [InlineData(0x18, 8, "disagree about")]
    [InlineData(0x02, 1, "")]
    [InlineData(0x10, 1, "impossible place or length")]
    [InlineData(0x30, 1, "another device")]
    [InlineData(0x40, 1, "another device")]
    [InlineData(0x3F, 1, "outside of the device")]
    [InlineData(0x2C, 2, "cut off")]
    public async Task A_chunk_in_an_impossible_place_puts_everything_in_use(int field, byte bits, string sentence)
    {
        BtrfsImage image = new(await MakeAsync());
        image.Bytes[image.DataOf(image.ChunkTree, 228) + field] ^= bits;
        BtrfsImage.Seal(image.Bytes, image.PlaceOf(image.ChunkTree), image.NodeSize);
        VolumeAnalysis ours = await AnalyseAsync(image.Bytes);
        Assert.True(ours.Doubt is not null || field == 0x18, "went unnoticed"); // striped over one device is as good as single
        Assert.True(ours.Doubt is null || sentence == "disagree about" || ours.Doubt.Contains(sentence, StringComparison.Ordinal), ours.Doubt);
    }

    [Fact]
    public async Task A_tree_that_leads_back_into_itself_ends()
    {
        BtrfsImage image = new(await MakeDeepAsync());
        int root = image.PlaceOf(image.ExtentTree);
        Assert.True(image.Bytes[root + 0x64] > 0);
        int second = root + BtrfsImage.HeaderSize + 33 + 17;
        image.Bytes.AsSpan(root + BtrfsImage.HeaderSize + 17, 16).CopyTo(image.Bytes.AsSpan(second));
        BtrfsImage.Seal(image.Bytes, root, image.NodeSize);
        await ExpectDoubtAsync(image.Bytes, "hangs in two places");
        WriteInt64LittleEndian(image.Bytes.AsSpan(second), image.ExtentTree);
        BtrfsImage.Seal(image.Bytes, root, image.NodeSize);
        await ExpectDoubtAsync(image.Bytes, "hangs in two places");
    }

    [Fact]
    public async Task Every_flipped_bit_of_the_superblock_and_of_a_tree_block_is_noticed()
    {
        BtrfsImage image = new(await MakeDeepAsync());
        int[] starts = [Super, .. image.Blocks(image.ChunkTree), image.PlaceOf(image.RootTree), .. image.Blocks(image.ExtentTree)];
        foreach (int start in starts)
        {
            for (int bit = 0; bit < 4096 * 8; bit += 13 * Knob.Number("QUENCH_STRIDE", 29))
            {
                int at = start + (bit / 8);
                bool counts = at - start is < 4 or >= 32; // the rest of a short checksum's field
                image.Bytes[at] ^= (byte)(1 << (bit % 8));
                VolumeAnalysis ours = await AnalyseAsync(image.Bytes);
                Assert.True(ours.Doubt is not null || ours.FileSystem is null || !counts, $"bit {bit} at {start} went unnoticed");
                image.Bytes[at] ^= (byte)(1 << (bit % 8));
            }
        }
    }

    [Theory]
    [InlineData("raid0")]
    [InlineData("raid1")]
    [InlineData("single")]
    public async Task One_on_two_devices_is_said(string profile)
    {
        Tool.Require("mkfs.btrfs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "128M", folder["one.img"], folder["two.img"]);
        Assert.Null(await BtrfsMaker.TryMakeFileSystemAsync("-q", "-f", "-m", "raid1", "-d", profile, folder["one.img"], folder["two.img"]));
        await ExpectDoubtAsync(await File.ReadAllBytesAsync(folder["one.img"], TestContext.Current.CancellationToken), "lies on 2 devices");
        await ExpectDoubtAsync(await File.ReadAllBytesAsync(folder["two.img"], TestContext.Current.CancellationToken), "lies on 2 devices");
    }

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory()
    {
        AnalyserFuzz.Subject[] subjects =
        [
            SubjectOf("btrfs", await FuzzCorpus.VolumeAsync("btrfs", () => MakeAsync("-M", "-d", "single")), false),
            SubjectOf("btrfs-deep", await FuzzCorpus.VolumeAsync("btrfs-deep", MakeDeepAsync), true),
        ];
        await AnalyserFuzz.RunAsync(subjects, 32 << 20, output);
    }

    [Fact]
    public async Task A_file_system_of_a_tebibyte_takes_little_more_memory_than_its_bitmap()
    {
        Tool.Require("mkfs.btrfs", "btrfs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1T", folder["large.img"]);
        Assert.Null(await BtrfsMaker.TryMakeFileSystemAsync("-q", "-f", "-K", folder["large.img"]));
        VolumeAnalysis ours = await LargeVolume.MapAsync(folder["large.img"], (2 * 32 + 4) << 20, output); // the map and the claims at one bit for each of 2^28 sectors, and the rest
        Assert.Null(MapComparison.Compare(ours.Used, (await BtrfsWitness.AskAsync(folder["large.img"])).Map()));
    }

    /// <summary>All blocks of the trees that are read, and how they and the superblock are sealed.</summary>
    private static AnalyserFuzz.Subject SubjectOf(string name, byte[] bytes, bool isDeep)
    {
        BtrfsImage image = new(bytes);
        int node = image.NodeSize;
        int[] blocks = [.. image.Blocks(image.ChunkTree), .. image.Blocks(image.RootTree), .. image.Blocks(image.ExtentTree).Take(isDeep ? 12 : 1)];
        List<Extent> metadata = [new(Super, 0x140), new(Super + 0x32B, 256)];
        foreach (int block in blocks)
        {
            int entries = BtrfsImage.HeaderSize + (image.CountAt(block) * 33);
            metadata.Add(new Extent(block, Math.Min(node, entries)));
            metadata.Add(new Extent(block + (node / 4 * 3), node / 4));
        }

        return new AnalyserFuzz.Subject(name, bytes, metadata, changed =>
        {
            foreach (int block in blocks)
            {
                BtrfsImage.Seal(changed, block, node);
            }

            BtrfsImage.Seal(changed, Super, BtrfsImage.SuperblockSize);
        });
    }

    private static long RootOf(BtrfsImage image, ulong tree) => tree switch { 1 => image.RootTree, 3 => image.ChunkTree, _ => image.TreeOf(tree) };

    /// <summary>One whose extent tree has two levels.</summary>
    private static async Task<byte[]> MakeDeepAsync()
    {
        using TempFolder content = new();
        for (int index = 0; index < 160; index++)
        {
            await File.WriteAllBytesAsync(content[$"file{index}"], new byte[4096 + (index % 3)]);
        }

        return await MakeAsync("-n", "4096", "--rootdir", content.Path);
    }

    private static async Task<byte[]> MakeAsync(params string[] arguments)
    {
        Tool.Require("mkfs.btrfs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "72M", folder["made.img"]);
        Assert.Null(await BtrfsMaker.TryMakeFileSystemAsync(["-q", "-f", "-m", "single", .. arguments, folder["made.img"]]));
        return await File.ReadAllBytesAsync(folder["made.img"]);
    }
}
