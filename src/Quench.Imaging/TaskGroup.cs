using System.Runtime.ExceptionServices;

namespace Quench.Imaging;

/// <summary>Runs siblings together: the first failure cancels the others and is the one thrown, and all have ended when it is thrown.</summary>
internal static class TaskGroup
{
    /// <summary>Runs the bodies at once and waits for all of them.</summary>
    /// <param name="bodies">The siblings; each gets a token that ends with the group.</param>
    /// <param name="cancellationToken">Cancels all of them.</param>
    public static async Task RunAsync(IEnumerable<Func<CancellationToken, Task>> bodies, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ExceptionDispatchInfo? first = null;

        async Task GuardAsync(Func<CancellationToken, Task> body)
        {
            try
            {
                await body(stop.Token);
            }
            catch (Exception failure)
            {
                Interlocked.CompareExchange(ref first, ExceptionDispatchInfo.Capture(failure), null);
                await stop.CancelAsync();
            }
        }

        await Task.WhenAll(bodies.Select(body => Task.Run(() => GuardAsync(body), CancellationToken.None)).ToArray());
        first?.Throw();
    }

    /// <summary>Runs one body on several lanes.</summary>
    public static Task RunLanesAsync(int lanes, Func<CancellationToken, Task> body, CancellationToken cancellationToken) =>
        RunAsync(Enumerable.Repeat(body, lanes), cancellationToken);
}
