namespace Quench.Imaging.Capture.Exclusions;

/// <summary>A pattern for one name, without slashes. Constant.</summary>
internal sealed class NamePattern
{
    private readonly Token[] _tokens;

    private NamePattern(Token[] tokens) => _tokens = tokens;

    /// <summary>Reads one.</summary>
    /// <param name="text">Not empty.</param>
    /// <param name="wrong">Why it can't be one, in words; null when it is one.</param>
    public static NamePattern? TryParse(string text, out string? wrong)
    {
        List<Token> tokens = [];
        wrong = null;
        for (int at = 0; at < text.Length;)
        {
            switch (text[at])
            {
                case '*':
                    tokens.Add(new Token(TokenKind.Any));
                    at++;
                    break;
                case '?':
                    tokens.Add(new Token(TokenKind.One));
                    at++;
                    break;
                case '[':
                    if (TryReadClass(text, ref at) is not { } one)
                    {
                        wrong = "a [ has no ] that ends it, or nothing between the two, or a range that runs backwards";
                        return null;
                    }

                    tokens.Add(one);
                    break;
                case '\\' when at + 1 == text.Length:
                    wrong = "a backslash at its end takes the meaning from nothing";
                    return null;
                case '\\':
                    tokens.Add(new Token(TokenKind.Literal, text[at + 1]));
                    at += 2;
                    break;
                default:
                    tokens.Add(new Token(TokenKind.Literal, text[at++]));
                    break;
            }
        }

        return new NamePattern([.. tokens]);
    }

    /// <summary>Whether a name matches: in time of at most the product of the two lengths.</summary>
    public bool Matches(string name, bool ignoresCase)
    {
        int token = 0;
        int at = 0;
        int afterAny = -1; // the token behind the last * that was met, and where its text ended so far
        int anyEnd = 0;
        while (at < name.Length)
        {
            int taken = token < _tokens.Length ? _tokens[token].Take(name, at, ignoresCase) : 0;
            if (token < _tokens.Length && _tokens[token].Kind == TokenKind.Any)
            {
                (afterAny, anyEnd) = (++token, at);
            }
            else if (taken > 0)
            {
                (token, at) = (token + 1, at + taken);
            }
            else if (afterAny >= 0)
            {
                (token, at) = (afterAny, ++anyEnd);
            }
            else
            {
                return false;
            }
        }

        return _tokens.AsSpan(token).IndexOfAnyExcept(new Token(TokenKind.Any)) < 0;
    }

    /// <summary>Reads [abc], [a-z], [!a-z]; a ] that comes first stands for itself.</summary>
    private static Token? TryReadClass(string text, ref int at)
    {
        int begin = at + 1;
        bool isNegated = begin < text.Length && text[begin] is '!' or '^';
        begin += isNegated ? 1 : 0;
        List<(char First, char Last)> ranges = [];
        int next = begin;
        while (next < text.Length && (text[next] != ']' || next == begin))
        {
            if (TryReadCharacter(text, ref next) is not { } first)
            {
                return null;
            }

            char last = first;
            if (next + 1 < text.Length && text[next] == '-' && text[next + 1] != ']')
            {
                next++;
                if (TryReadCharacter(text, ref next) is not { } end || end < first)
                {
                    return null;
                }

                last = end;
            }

            ranges.Add((first, last));
        }

        at = next + 1;
        return next < text.Length && ranges.Count > 0 ? new Token(TokenKind.Class) { Ranges = [.. ranges], IsNegated = isNegated } : null;
    }

    private static char? TryReadCharacter(string text, ref int at)
    {
        at += text[at] == '\\' ? 1 : 0;
        return at < text.Length ? text[at++] : null;
    }

    private enum TokenKind
    {
        Literal,
        One,
        Any,
        Class,
    }

    private sealed record Token(TokenKind Kind, char Character = '\0')
    {
        public (char First, char Last)[] Ranges { get; init; } = [];

        public bool IsNegated { get; init; }

        /// <summary>How many characters of the name it takes at a place; 0 when it does not match there.</summary>
        public int Take(string name, int at, bool ignoresCase) => Kind switch
        {
            TokenKind.Literal => AreSame(Character, name[at], ignoresCase) ? 1 : 0,
            TokenKind.One => char.IsHighSurrogate(name[at]) && at + 1 < name.Length ? 2 : 1,
            TokenKind.Class => Holds(name[at], ignoresCase) != IsNegated ? 1 : 0,
            _ => 0,
        };

        private static bool AreSame(char one, char other, bool ignoresCase) =>
            one == other || (ignoresCase && char.ToUpperInvariant(one) == char.ToUpperInvariant(other));

        private bool Holds(char one, bool ignoresCase) =>
            HoldsExactly(one) || (ignoresCase && (HoldsExactly(char.ToUpperInvariant(one)) || HoldsExactly(char.ToLowerInvariant(one))));

        private bool HoldsExactly(char one) => Ranges.Any(range => one >= range.First && one <= range.Last);
    }
}
