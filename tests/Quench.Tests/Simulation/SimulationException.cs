namespace Quench.Tests.Simulation;

/// <summary>The simulated world is not as it must be.</summary>
internal sealed class SimulationException(string message, Exception? cause = null) : Exception(message, cause);
