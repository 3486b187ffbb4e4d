using System.Text;
using Quench.Blocks;

namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>A line of a script in words. Words stand between spaces or in double quotes; # and REM begin a comment.</summary>
/// <param name="Number">In the script, from 1.</param>
/// <param name="Words">At least one.</param>
internal sealed record ScriptLine(int Number, IReadOnlyList<string> Words)
{
    /// <summary>The lines that say something.</summary>
    /// <exception cref="QuenchException">CLI-160, exit code 2: a quote is not closed.</exception>
    public static IReadOnlyList<ScriptLine> Read(string script)
    {
        string[] lines = script.ReplaceLineEndings("\n").Split('\n');
        return [.. lines
            .Select((text, index) => new ScriptLine(index + 1, Split(index + 1, text)))
            .Where(line => line.Words.Count > 0 && !line.Words[0].Equals("rem", StringComparison.OrdinalIgnoreCase))];
    }

    private static List<string> Split(int number, string text)
    {
        List<string> words = [];
        StringBuilder word = new();
        bool isQuoted = false;
        bool isWord = false;
        foreach (char letter in text)
        {
            if (letter == '#' && !isQuoted && !isWord)
            {
                break;
            }

            if (letter == '"')
            {
                (isQuoted, isWord) = (!isQuoted, true);
            }
            else if (isQuoted || !char.IsWhiteSpace(letter))
            {
                word.Append(letter);
                isWord = true;
            }
            else if (isWord)
            {
                words.Add(word.ToString());
                word.Clear();
                isWord = false;
            }
        }

        if (isQuoted)
        {
            throw ScriptErrors.Refuse(number, "a quote is not closed");
        }

        if (isWord)
        {
            words.Add(word.ToString());
        }

        return words;
    }
}
