namespace Quench.FileSystems;

/// <summary>
/// A file system was seen and its map cannot be trusted. The message is the sentence for <see cref="VolumeAnalysis.Doubt"/>. Thrown and
/// caught inside an analyser: it never leaves <see cref="IFileSystemAnalyser.TryAnalyseAsync"/>.
/// </summary>
internal sealed class InDoubtException(string sentence) : Exception(sentence)
{
    /// <summary>Gives up the map unless a condition holds.</summary>
    public static void Unless(bool condition, string sentence)
    {
        if (!condition)
        {
            throw new InDoubtException(sentence);
        }
    }
}
