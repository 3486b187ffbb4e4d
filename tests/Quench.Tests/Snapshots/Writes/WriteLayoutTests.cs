using Quench.Blocks;
using Quench.Interop.Bpf;
using Quench.Snapshots.Providers.Tracked;
using Quench.Snapshots.Writes;
using Xunit;

namespace Quench.Tests.Snapshots.Writes;

/// <summary>What the running kernel tells of itself, and what is said of one that tells too little.</summary>
public sealed class WriteLayoutTests
{
    [Fact]
    public void The_running_kernel_tells_all_that_the_programs_read()
    {
        KernelTypes? types = KernelTypes.ReadRunning();
        Assert.SkipWhen(types is null, "needs a kernel with BTF");
        WriteLayout layout = WriteLayout.Find(types, RequestLayout.Find(types), directEnd: 0xFFFFFFFF81000000);
        Assert.StartsWith("writeback_dirty_", layout.DirtyTracepoint, StringComparison.Ordinal);
        Assert.True(int.IsPow2(layout.PageBytes));
        Assert.NotEqual(layout.Folio.Mapping, layout.Folio.Index);
        Assert.NotNull(layout.Direct);
        Assert.Null(WriteLayout.Find(types, RequestLayout.Find(types), directEnd: null).Direct);
    }

    [Fact]
    public void A_kernel_that_tells_too_little_is_refused()
    {
        KernelTypes? types = KernelTypes.ReadRunning();
        Assert.SkipWhen(types is null, "needs a kernel with BTF");
        byte[] nothing = [0x9F, 0xEB, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        QuenchException refusal = Assert.Throws<QuenchException>(() => WriteLayout.Find(KernelTypes.Parse(nothing), RequestLayout.Find(types), directEnd: null));
        Assert.Equal("ACT-103", refusal.Code);
    }
}
