with
expected_loss as {{ rows_of(ref('expected_loss')) }},
score_stability as {{ rows_of(ref('score_stability')) }},
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},
fact_decision as {{ rows_of(ref('fact_decision')) }},
reporting_date as {{ rows_of(ref('reporting_date')) }},
kpi_decision as {{ rows_of(ref('kpi_decision')) }},
kpi_portfolio as {{ rows_of(ref('kpi_portfolio')) }},
kpi_flow as {{ rows_of(ref('kpi_flow')) }},
concentration as {{ rows_of(ref('concentration')) }},
score_separation as {{ rows_of(ref('score_separation')) }},
missing_rows as {{ rows_of(ref('missing_rows')) }},

losses as (
    select
        e.grain, e.as_of_date, e.currency, d.dimension,
        cast(case d.dimension when 'all' then 'all' when 'product' then e.product_code else concat('stage ', e.ifrs9_stage) end as varchar(64)) as member,
        sum(e.numerator) as numerator,
        sum(e.denominator) as denominator
    from expected_loss as e
    cross join (values ('all'), ('product'), ('ifrs9_stage')) as d(dimension)
    group by e.grain, e.as_of_date, e.currency, d.dimension,
        case d.dimension when 'all' then 'all' when 'product' then e.product_code else concat('stage ', e.ifrs9_stage) end
),

stability as (
    select s.as_of_date, s.currency, s.period_start, sum(s.contribution) as value, max(s.denominator) as applications
    from score_stability as s
    group by s.as_of_date, s.currency, s.period_start
),

-- What a history does not tell: how many are left out of the KPIs that need it.
left_out as (
    select m.snapshot_date as as_of_date, m.currency, 'loans_without_disbursement_date' as kpi, count(*) as cases, 'kpi_portfolio' as model
    from fact_loan_month as m
    where m.snapshot_kind = 'as_of' and m.status <> 'cancelled' and m.disbursed_on is null
    group by m.snapshot_date, m.currency
    union all
    select m.snapshot_date, m.currency, 'loans_without_classification_date', count(*), 'kpi_portfolio'
    from fact_loan_month as m
    where m.snapshot_kind = 'as_of' and m.status <> 'cancelled' and m.is_classification_dated = 0
    group by m.snapshot_date, m.currency
    union all
    select m.snapshot_date, m.currency, 'loans_without_parameters', count(*), 'expected_loss'
    from fact_loan_month as m
    where m.snapshot_kind = 'as_of' and m.status = 'open' and m.probability_of_default is null
    group by m.snapshot_date, m.currency
    union all
    select r.as_of_date, d.currency, 'applications_without_score', count(*), 'kpi_decision'
    from fact_decision as d
    inner join reporting_date as r on r.as_of_date >= d.first_submitted_on
    where d.score is null and d.currency is not null
    group by r.as_of_date, d.currency
),

gathered as (
    select as_of_date, grain, period_start, kpi, currency, dimension, member, numerator, denominator, value, 'kpi_decision' as model from kpi_decision
    union all
    select as_of_date, grain, period_start, kpi, currency, dimension, member, numerator, denominator, value, 'kpi_portfolio' from kpi_portfolio
    union all
    select as_of_date, grain, period_start, kpi, currency, dimension, member, numerator, denominator, value, 'kpi_flow' from kpi_flow
    union all
    select as_of_date, grain, as_of_date, 'expected_loss', currency, dimension, member, numerator, denominator, cast(numerator as numeric(38, 10)), 'expected_loss' from losses
    union all
    select as_of_date, grain, as_of_date, 'expected_loss_rate', currency, dimension, member, numerator, denominator, {{ ratio('numerator', 'denominator') }}, 'expected_loss' from losses
    union all
    select as_of_date, grain, as_of_date, kpi, currency, dimension, 'all', numerator, denominator, value, 'concentration' from concentration
    union all
    select as_of_date, 'as_of', as_of_date, kpi, currency, 'all', 'all', numerator, denominator, value, 'score_separation' from score_separation
    union all
    select as_of_date, 'as_of', as_of_date, kpi, currency, 'all', 'all', null, cases, cast(cases as numeric(38, 10)), model from left_out
    union all
    select as_of_date, 'month_of_submission', period_start, 'psi', currency, 'all', 'all', null, applications, value, 'score_stability' from stability
),

missing as (
    select m.model, sum(m.missing_rows) as missing_rows
    from missing_rows as m
    group by m.model
),

final as (
    select
        g.as_of_date,
        cast(g.grain as varchar(20)) as grain,
        g.period_start,
        cast(g.kpi as varchar(40)) as kpi,
        g.currency,
        cast(g.dimension as varchar(16)) as dimension,
        cast(g.member as varchar(64)) as member,
        cast(g.numerator as numeric(38, 4)) as numerator,
        cast(g.denominator as numeric(38, 4)) as denominator,
        cast(g.value as numeric(38, 10)) as value,
        cast(g.model as varchar(64)) as model,
        cast(coalesce(m.missing_rows, 0) as bigint) as missing_rows
    from gathered as g
    left join missing as m on m.model = g.model
)

select * from final
