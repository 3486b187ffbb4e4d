using Quench.Blocks;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Tracked;

namespace Quench.Snapshots.Writes;

/// <summary>
/// Where the running kernel keeps what tells who wrote: beside the parts of a request (<see cref="RequestLayout"/>) the pages that it takes its data from, the file that they belong to, that file's
/// names, and the process that runs. Told by the kernel itself (BTF).
/// </summary>
internal sealed record WriteLayout
{
    private const int BioVecBytes = 16;

    private static readonly Lazy<WriteLayout> s_ofThisKernel = new(Read, LazyThreadSafetyMode.PublicationOnly); // it does not change while it runs

    /// <summary>The parts that the change tracker reads too.</summary>
    public required RequestLayout Request { get; init; }

    /// <summary>Called when a page that was clean is made dirty, in the process that does it.</summary>
    public required string DirtyTracepoint { get; init; }

    /// <summary>bio → the device it was sent to; a partition stays one.</summary>
    public required int BioDevice { get; init; }

    /// <summary>block_device → its number, four bytes.</summary>
    public required int DeviceNumber { get; init; }

    /// <summary>bio → what is called when it is done.</summary>
    public required int BioEnd { get; init; }

    /// <summary>bio → what its sender knows it by.</summary>
    public required int BioPrivate { get; init; }

    /// <summary>bio → its runs of pages; the first that counts, and how many bytes of that do not, four bytes each.</summary>
    public required (int Vectors, int Index, int Done) Bio { get; init; }

    /// <summary>page → the first page of its folio, with its lowest bit set; without it, this is the first.</summary>
    public required int PageHead { get; init; }

    /// <summary>Bytes of struct page; a power of two.</summary>
    public required int PageBytes { get; init; }

    /// <summary>folio (or page, before 5.16) → the file's cache that it belongs to, and its place there in pages.</summary>
    public required (int Mapping, int Index) Folio { get; init; }

    /// <summary>page → its flags; the flag's number that the first page of a large folio has; folio → how many pages it has, four bytes. Null on kernels before large folios, and those that do not keep the number.</summary>
    public required (int Flags, int IsLarge, int Pages)? LargeFolio { get; init; }

    /// <summary>address_space → inode.</summary>
    public required int MappingHost { get; init; }

    /// <summary>inode → number, generation (four bytes), the number of the device it is (four bytes), superblock, first name.</summary>
    public required (int Number, int Generation, int Device, int SuperBlock, int FirstName) Inode { get; init; }

    /// <summary>super_block → its number, four bytes.</summary>
    public required int SuperBlockDevice { get; init; }

    /// <summary>dentry → its place in the list of its inode's names, the name's hash and length together, the text, the directory.</summary>
    public required (int Alias, int Hash, int Text, int Parent) Name { get; init; }

    /// <summary>task_struct → flags (four bytes), the process's first thread, the name.</summary>
    public required (int Flags, int Leader, int Name) Task { get; init; }

    /// <summary>The three pointers from a direct write's own data to its file's inode; null where it can't be told.</summary>
    public required (ulong End, int Call, int File, int Inode)? Direct { get; init; }

    /// <summary>The running kernel's.</summary>
    /// <exception cref="QuenchException">SNAP-181, ACT-103: it tells nothing, or something is missing.</exception>
    public static WriteLayout OfThisKernel() => s_ofThisKernel.Value;

    /// <summary>Finds all of it.</summary>
    /// <param name="types">The kernel's types.</param>
    /// <param name="request">The parts of a request.</param>
    /// <param name="directEnd">The address of iomap_dio_bio_end_io; null when it is not told.</param>
    /// <exception cref="QuenchException">ACT-103: something is missing.</exception>
    internal static WriteLayout Find(KernelTypes types, RequestLayout request, ulong? directEnd)
    {
        (string dirty, string page) = types.FindTracepoint("writeback_dirty_folio") is not null ? ("writeback_dirty_folio", "folio") : ("writeback_dirty_page", "page");
        if (types.FindTracepoint(dirty) is not [var first, "address_space"] || first != page || types.FindSize("bio_vec") != BioVecBytes)
        {
            throw Unfit($"its tracepoint {dirty} is not there, or hands over something else");
        }

        if (types.FindSize("page") is not { } pageBytes || !int.IsPow2(pageBytes))
        {
            throw Unfit("its struct page is missing, or of an odd size");
        }

        int Field(string structure, string path) => types.FindField(structure, path) ?? throw Unfit($"its struct {structure} has no field {path}");
        return new WriteLayout
        {
            Request = request,
            DirtyTracepoint = dirty,
            BioDevice = Field("bio", "bi_bdev"),
            DeviceNumber = Field("block_device", "bd_dev"),
            BioEnd = Field("bio", "bi_end_io"),
            BioPrivate = Field("bio", "bi_private"),
            Bio = (Field("bio", "bi_io_vec"), Field("bio", "bi_iter.bi_idx"), Field("bio", "bi_iter.bi_bvec_done")),
            PageHead = Field("page", "compound_head"),
            PageBytes = pageBytes,
            Folio = (Field(page, "mapping"), Field(page, "index")),
            LargeFolio = (types.FindField("folio", "_nr_pages") ?? types.FindField("folio", "_folio_nr_pages")) is { } pages && types.FindEnumerator("pageflags", "PG_head") is { } isLarge
                ? (Field("page", "flags"), isLarge, pages)
                : null,
            MappingHost = Field("address_space", "host"),
            Inode = (Field("inode", "i_ino"), Field("inode", "i_generation"), Field("inode", "i_rdev"), Field("inode", "i_sb"), Field("inode", "i_dentry.first")),
            SuperBlockDevice = Field("super_block", "s_dev"),
            Name = (Field("dentry", "d_u.d_alias"), Field("dentry", "d_name.hash_len"), Field("dentry", "d_name.name"), Field("dentry", "d_parent")),
            Task = (Field("task_struct", "flags"), Field("task_struct", "group_leader"), Field("task_struct", "comm")),
            Direct = directEnd is { } end && types.FindField("iomap_dio", "iocb") is { } call && types.FindField("kiocb", "ki_filp") is { } file && types.FindField("file", "f_inode") is { } inode
                ? (end, call, file, inode)
                : null,
        };
    }

    private static WriteLayout Read()
    {
        RequestLayout request = RequestLayout.OfThisKernel(); // refuses a kernel without types
        return Find(KernelTypes.ReadRunning()!, request, KernelSymbols.Find("iomap_dio_bio_end_io"));
    }

    private static QuenchException Unfit(string why) =>
        new("ACT-103", $"who writes can't be told on this kernel: {why}", "use a kernel of 5.12 or newer with BTF, as the distributions build it")
        {
            Effect = "nothing was touched",
        };
}
