using System.Text;

namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>What %NAME% stands for in a script: aliases of copies, and those that were added. Names don't care for case, as on Windows.</summary>
internal sealed class ScriptNames
{
    private readonly Dictionary<string, string> _values = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>All of them, for programs that the script runs.</summary>
    public IReadOnlyDictionary<string, string> Values => _values;

    /// <summary>Gives a name a meaning, or another one.</summary>
    public void Set(string name, string value) => _values[name] = value;

    /// <summary>Forgets all.</summary>
    public void Clear() => _values.Clear();

    /// <summary>A word with what its names stand for. A single % is itself; %% is one.</summary>
    /// <exception cref="Blocks.QuenchException">CLI-161: a name stands for nothing.</exception>
    public string Expand(int line, string word)
    {
        StringBuilder text = new();
        int at = 0;
        while (at < word.Length)
        {
            int end = word[at] == '%' ? word.IndexOf('%', at + 1) : -1;
            if (end < 0)
            {
                text.Append(word[at++]);
                continue;
            }

            string name = word[(at + 1)..end];
            text.Append(name.Length == 0 ? "%" : _values.TryGetValue(name, out string? value) ? value : throw ScriptErrors.Failed(line, $"%{name}% stands for nothing yet"));
            at = end + 1;
        }

        return text.ToString();
    }
}
