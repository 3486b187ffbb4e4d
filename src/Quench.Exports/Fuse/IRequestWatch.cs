namespace Quench.Exports.Fuse;

/// <summary>Told when a thread of a session takes a request and when it has answered: so that somebody can see requests that hang.</summary>
/// <remarks>Called on every request, by the thread itself: it must not wait, allocate or throw.</remarks>
public interface IRequestWatch
{
    /// <summary>The calling thread has taken a request.</summary>
    /// <param name="thread">Which of the session's threads it is, from 0.</param>
    void Taken(int thread);

    /// <summary>The calling thread has answered it.</summary>
    /// <param name="thread">Which of the session's threads it is, from 0.</param>
    void Answered(int thread);
}
