namespace Quench.Vault;

/// <summary>Which points are to be forgotten: some by name, or what a policy does not keep. Not both.</summary>
public sealed record ForgetRequest
{
    /// <summary>The points by the first digits of their ids.</summary>
    public IReadOnlyList<string> Points { get; init; } = [];

    /// <summary>What to keep; null when the points are named.</summary>
    public RetentionPolicy? Policy { get; init; }

    /// <summary>Look at this machine's points only; null for all machines'. The three filters are for a policy.</summary>
    public string? Host { get; init; }

    /// <summary>Look at points with this word only.</summary>
    public string? Tag { get; init; }

    /// <summary>Look at points that hold a volume of this name only.</summary>
    public string? Volume { get; init; }
}
