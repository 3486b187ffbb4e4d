namespace Quench.Writers;

/// <summary>What kind of failure it was. The numbers are those of VSS. (vswriter.h, VSS_E_WRITERERROR_*)</summary>
public enum WriterError
{
    /// <summary>What is taken does not hold what a restore needs.</summary>
    InconsistentSnapshot = unchecked((int)0x800423F0),

    /// <summary>No room, memory or connection.</summary>
    OutOfResources = unchecked((int)0x800423F1),

    /// <summary>The application did not do it in time.</summary>
    Timeout = unchecked((int)0x800423F2),

    /// <summary>A second try may do: the instant is taken once more.</summary>
    Retryable = unchecked((int)0x800423F3),

    /// <summary>It will fail again.</summary>
    NonRetryable = unchecked((int)0x800423F4),
}
