using Quench.Blocks;
using Quench.Interop.Bpf;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Where the running kernel keeps what the tracker needs to know of a request (struct request) and of a part of one (struct bio), and what its tracepoints hand
/// over. Told by the kernel itself (BTF), because all of it moves from version to version: a request had its disk until 5.16 and has it by its queue since.
/// </summary>
internal sealed record RequestLayout
{
    /// <summary>Called with a bio when it is submitted; its sectors are the whole disk's by then, a partition's included.</summary>
    public const string Submission = "block_bio_queue";

    /// <summary>Called with a request, or a part of one, whose data has landed.</summary>
    public const string Completion = "block_rq_complete";

    private static readonly Lazy<RequestLayout> s_ofThisKernel = new(
        () => Find(KernelTypes.ReadRunning() ?? throw Unfit("it carries no description of its types (CONFIG_DEBUG_INFO_BTF)")),
        LazyThreadSafetyMode.PublicationOnly); // it does not change while it runs, and takes some megabytes to read

    /// <summary>The place of the bio among what the submission's tracepoint hands over.</summary>
    public required int SubmittedBioAt { get; init; }

    /// <summary>The place of the request among what the completion's tracepoint hands over.</summary>
    public required int CompletedRequestAt { get; init; }

    /// <summary>The place of the count of bytes likewise: the last.</summary>
    public required int CompletedBytesAt { get; init; }

    /// <summary>request → its operation and flags, four bytes.</summary>
    public required int RequestFlags { get; init; }

    /// <summary>request → its first sector.</summary>
    public required int RequestSector { get; init; }

    /// <summary>request → its first bio.</summary>
    public required int RequestBio { get; init; }

    /// <summary>The pointers to follow from a request to its disk, each as an offset: one on old kernels, two on others.</summary>
    public required IReadOnlyList<int> RequestToDisk { get; init; }

    /// <summary>bio → the next of its request.</summary>
    public required int BioNext { get; init; }

    /// <summary>bio → its operation and flags, four bytes.</summary>
    public required int BioFlags { get; init; }

    /// <summary>bio → its first sector.</summary>
    public required int BioSector { get; init; }

    /// <summary>bio → its bytes, four of them.</summary>
    public required int BioBytes { get; init; }

    /// <summary>The pointers to follow from a bio to its disk.</summary>
    public required IReadOnlyList<int> BioToDisk { get; init; }

    /// <summary>gendisk → its major and first minor number, four bytes each, one after the other.</summary>
    public required int DiskNumber { get; init; }

    /// <summary>The running kernel's.</summary>
    /// <exception cref="QuenchException">SNAP-181: it tells nothing, or something is missing.</exception>
    public static RequestLayout OfThisKernel() => s_ofThisKernel.Value;

    /// <summary>Finds all of it.</summary>
    /// <exception cref="QuenchException">SNAP-181: something is missing.</exception>
    internal static RequestLayout Find(KernelTypes types)
    {
        IReadOnlyList<string> completed = Tracepoint(types, Completion);
        int diskNumber = Field(types, "gendisk", "major");
        if (Field(types, "gendisk", "first_minor") != diskNumber + sizeof(int))
        {
            throw Unfit("a disk's numbers do not lie side by side");
        }

        return new RequestLayout
        {
            SubmittedBioAt = Place(Tracepoint(types, Submission), "bio", Submission),
            CompletedRequestAt = Place(completed, "request", Completion),
            CompletedBytesAt = completed.Count - 1,
            RequestFlags = Field(types, "request", "cmd_flags"),
            RequestSector = Field(types, "request", "__sector"),
            RequestBio = Field(types, "request", "bio"),
            RequestToDisk = types.FindField("request_queue", "disk") is { } disk ? [Field(types, "request", "q"), disk] : [Field(types, "request", "rq_disk")],
            BioNext = Field(types, "bio", "bi_next"),
            BioFlags = Field(types, "bio", "bi_opf"),
            BioSector = Field(types, "bio", "bi_iter.bi_sector"),
            BioBytes = Field(types, "bio", "bi_iter.bi_size"),
            BioToDisk = [Field(types, "bio", "bi_bdev"), Field(types, "block_device", "bd_disk")],
            DiskNumber = diskNumber,
        };
    }

    private static IReadOnlyList<string> Tracepoint(KernelTypes types, string name) =>
        types.FindTracepoint(name) ?? throw Unfit($"it has no tracepoint {name}");

    private static int Place(IReadOnlyList<string> parameters, string type, string tracepoint)
    {
        int place = parameters.ToList().IndexOf(type);
        return place >= 0 ? place : throw Unfit($"its tracepoint {tracepoint} hands over no {type}");
    }

    private static int Field(KernelTypes types, string structure, string path) =>
        types.FindField(structure, path) ?? throw Unfit($"its struct {structure} has no field {path}");

    private static QuenchException Unfit(string why) =>
        new(
            "SNAP-181",
            $"writes can't be tracked on this kernel: {why}",
            "use a kernel of 5.12 or newer with BTF, as the distributions build it, or attach the volume through Quench (`quench attach`)")
        {
            Effect = "nothing was read or written",
        };
}
