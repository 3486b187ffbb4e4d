namespace Quench.Writers;

/// <summary>Something that a restore needs and that lies in no file of the image.</summary>
/// <param name="Name">Letters, digits, blanks, dashes, dots and underscores; at most 64.</param>
/// <param name="Path">Where a restore puts it; null when a person reads it.</param>
/// <param name="Text">At most 262,144 characters.</param>
public sealed record WriterDocument(string Name, string? Path, string Text);
