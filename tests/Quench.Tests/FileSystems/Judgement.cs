using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>What the analysers say of bytes, and that they say so when in doubt.</summary>
internal static class Judgement
{
    /// <summary>Has whoever recognises the bytes analyse them.</summary>
    public static async Task<VolumeAnalysis> AnalyseAsync(byte[] image, VolumeCondition condition = VolumeCondition.AtRest)
    {
        await using TestVolume volume = TestVolume.Over(image);
        return await Recogniser.AnalyseAsync(volume, condition, TestContext.Current.CancellationToken);
    }

    /// <summary>Demands a doubt that says so, and that everything counts as in use.</summary>
    public static void ExpectDoubt(VolumeAnalysis ours, string sentence)
    {
        Assert.NotNull(ours.Doubt);
        Assert.Contains(sentence, ours.Doubt, StringComparison.Ordinal);
        Assert.Equal(ours.Used.VolumeLength, ours.Used.TotalLength);
    }

    /// <summary>The same for bytes.</summary>
    public static async Task ExpectDoubtAsync(byte[] image, string sentence)
    {
        VolumeAnalysis ours = await AnalyseAsync(image);
        ExpectDoubt(ours, sentence);
        Assert.Equal(image.Length, ours.Used.VolumeLength);
    }
}
