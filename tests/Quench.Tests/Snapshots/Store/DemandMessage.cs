using System.Globalization;
using System.Runtime.CompilerServices;

namespace Quench.Tests.Snapshots.Store;

/// <summary>A message that is put together only when the demand has failed.</summary>
[InterpolatedStringHandler]
internal ref struct DemandMessage
{
    private DefaultInterpolatedStringHandler _text;

    public DemandMessage(int literalLength, int formattedCount, bool condition, out bool isWanted)
    {
        isWanted = !condition;
        _text = isWanted ? new DefaultInterpolatedStringHandler(literalLength, formattedCount, CultureInfo.InvariantCulture) : default;
    }

    public void AppendLiteral(string text) => _text.AppendLiteral(text);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public string ToText() => _text.ToStringAndClear();
}
