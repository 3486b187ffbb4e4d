namespace Quench.Snapshots.Coordination;

/// <summary>A way of finding writers: one for each kind of application that is built in, one for those that have registered, one for the folder of programs.</summary>
public interface IWriterSource
{
    /// <summary>What its settings begin with and what people exclude it by: "postgresql". Lower case letters and dashes.</summary>
    string Name { get; }

    /// <summary>
    /// Finds the writers whose data lie on the volumes. Looks only; connects where it must, holds nothing. An application that is here but does not answer is still found, so that its
    /// silence lowers the grade: it fails at <see cref="IWriter.IdentifyAsync"/> instead.
    /// </summary>
    /// <param name="search">The volumes and the settings.</param>
    /// <param name="cancellationToken">The deadline.</param>
    /// <returns>Writers of this backup alone. The caller disposes them.</returns>
    ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken);
}
