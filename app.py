"""The dashboard: `streamlit run app.py`, or `tuneroi dashboard` from anywhere."""

from estimator.dashboard.main import main

main()
