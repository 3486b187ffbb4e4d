using System.Globalization;
using System.Runtime.CompilerServices;

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

    /// <summary>Gives up the map unless a condition holds. The sentence is put together only when it does not: checks are many.</summary>
    public static void Unless(bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] ref Sentence sentence)
    {
        if (!condition)
        {
            throw new InDoubtException(sentence.ToStringAndClear());
        }
    }

    /// <summary>Collects the parts of a sentence, unless the condition it explains holds.</summary>
    [InterpolatedStringHandler]
    internal ref struct Sentence
    {
        private DefaultInterpolatedStringHandler _parts;

        public Sentence(int literalLength, int formattedCount, bool condition, out bool isNeeded)
        {
            isNeeded = !condition;
            _parts = isNeeded ? new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture) : default;
        }

        public void AppendLiteral(string text) => _parts.AppendLiteral(text);

        public void AppendFormatted<T>(T value, string? format = null) => _parts.AppendFormatted(value, format);

        public string ToStringAndClear() => _parts.ToStringAndClear();
    }
}
