using System.Globalization;
using Quench.Tests.Architecture;

namespace Quench.Tests.Interop;

/// <summary>bindings.yaml, read. The file's own comments explain its lines.</summary>
internal sealed class Bindings
{
    public Dictionary<string, string> Functions { get; } = [];

    public Dictionary<string, Constant> Constants { get; } = [];

    public Dictionary<string, Structure> Structures { get; } = [];

    public static Bindings Load()
    {
        Bindings bindings = new();
        string section = "";
        string structure = "";
        foreach (string line in File.ReadLines(Path.Combine(Repository.Root, "src/Quench.Interop/bindings.yaml")))
        {
            string text = line.Trim();
            if (text.Length == 0 || text[0] == '#')
            {
                continue;
            }

            int indent = line.Length - line.TrimStart().Length;
            string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string name = words[0].TrimEnd(':');
            switch (indent)
            {
                case 0:
                    section = name;
                    break;
                case 4:
                    bindings.Structures[structure].Fields.Add(name, (ParseNumber(words[1]), words[2]));
                    break;
                default:
                    structure = name;
                    bindings.AddEntry(section, name, words);
                    break;
            }
        }

        return bindings;
    }

    private void AddEntry(string section, string name, string[] words)
    {
        switch (section)
        {
            case "functions":
                Functions.Add(name, words[1]);
                break;
            case "constants":
                Constants.Add(name, new Constant(ParseNumber(words[1]), words[2], words.Length > 3 ? words[3] : name));
                break;
            case "structs":
                Structures.Add(name, new Structure(ParseNumber(words[1]), words[2], string.Join(' ', words[3..]), []));
                break;
            default:
                throw new FormatException($"bindings.yaml has no section '{section}'");
        }
    }

    private static long ParseNumber(string text) => text.StartsWith("0x", StringComparison.Ordinal)
        ? long.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
        : long.Parse(text, CultureInfo.InvariantCulture);

    internal sealed record Constant(long Value, string Header, string Expression);

    internal sealed record Structure(long Size, string Header, string NativeName, Dictionary<string, (long Offset, string NativeName)> Fields);
}
