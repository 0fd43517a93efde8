namespace HostedApp;

/// <summary>What the application is to ask: the section <c>App</c>.</summary>
internal sealed class AppOptions
{
    /// <summary>Gets or sets the file that the question is about.</summary>
    public string ContextPath { get; set; } = string.Empty;

    /// <summary>Gets or sets the question.</summary>
    public string Question { get; set; } = string.Empty;
}
