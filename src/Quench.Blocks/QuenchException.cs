namespace Quench.Blocks;

/// <summary>
/// An operation cannot succeed. Everything a person needs is in here: what happened and to what, whether the volume is affected,
/// and what to do next. Scripts read <see cref="Code"/> and the exit code.
/// </summary>
/// <remarks>The one family of failures that leaves our doors; see docs/errors.md for the list of codes.</remarks>
public class QuenchException : Exception
{
    /// <summary>Describes a failure.</summary>
    /// <param name="code">A stable code such as "SNAP-104": room, dash, number.</param>
    /// <param name="message">What happened, to what: one sentence, lower case, no full stop.</param>
    /// <param name="next">What a person can do now, as a phrase; null when nothing but trying again helps.</param>
    /// <param name="cause">The failure below this one, if any.</param>
    public QuenchException(string code, string message, string? next = null, Exception? cause = null)
        : base(message, cause)
    {
        Code = code;
        Next = next;
    }

    /// <summary>The stable code.</summary>
    public string Code { get; }

    /// <summary>What to do next.</summary>
    public string? Next { get; }

    /// <summary>Where it happened and what it means for the volume: "the volume itself is unaffected". Null when no volume was near.</summary>
    public string? Effect { get; init; }

    /// <summary>Whether the same call may succeed later without anybody changing anything.</summary>
    public bool CanRetry { get; init; }

    /// <summary>The process exit code this failure ends with. 1 unless the table in the help says otherwise.</summary>
    public int ExitCode { get; init; } = 1;
}
