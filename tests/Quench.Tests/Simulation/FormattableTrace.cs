using System.Globalization;
using System.Runtime.CompilerServices;

namespace Quench.Tests.Simulation;

/// <summary>An interpolated text that is put together only when the world is being traced.</summary>
[InterpolatedStringHandler]
internal ref struct FormattableTrace
{
    private DefaultInterpolatedStringHandler _text;
    private readonly bool _isTraced;

    public FormattableTrace(int literals, int holes, World world, out bool isTraced)
    {
        _isTraced = isTraced = world.IsTraced;
        _text = _isTraced ? new DefaultInterpolatedStringHandler(literals, holes, CultureInfo.InvariantCulture) : default;
    }

    public string ToStringAndClear() => _isTraced ? _text.ToStringAndClear() : "";

    public void AppendLiteral(string text) => _text.AppendLiteral(text);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);
}
